// A row of choices of which one holds, each an address: tabs that a link can point at.
import { html } from "../ui.js";

// `choices`: [{ name, label, href }], `chosen`: a name. `label`: what is chosen, for screen readers.
export function Tabs({ choices, chosen, label }) {
  return html`<nav class="tabs" aria-label=${label}>
    ${choices.map(
      (one) => html`<a key=${one.name} href=${one.href} aria-current=${one.name === chosen ? "true" : undefined}>${one.label}</a>`,
    )}
  </nav>`;
}
