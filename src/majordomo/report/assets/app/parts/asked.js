// The line over a page's contents: its title, the filters, the period.
import { html } from "../ui.js";
import { FilterBar } from "./filter_bar.js";
import { Period } from "./period.js";

// `title`: the page's heading. `children`: further controls, before the period. `plain`: no filters and no period.
export function Asked({ title, query, children, plain = false }) {
  return html`<div class="asked">
    <h1>${title}</h1>
    ${plain ? null : html`<${FilterBar} query=${query} />`}
    <div class="asked-end">${children}${plain ? null : html`<${Period} query=${query} />`}</div>
  </div>`;
}
