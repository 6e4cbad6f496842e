// Nothing to show, and what to do about it.
import { html } from "../ui.js";

// `title`: one line. `children`: the next step.
export function Empty({ title, children }) {
  return html`<div class="empty"><p class="empty-title">${title}</p>${children}</div>`;
}
