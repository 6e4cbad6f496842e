// A list of values with a bar each, every row a link that filters by it (or takes the filter away).
import { html } from "../ui.js";

// `rows`: [{ key, label, hint?, share (0..1), figure, title?, change?, href, on? }]; `rest`: the same without href.
// `heads`: [left, right] column words.
export function Bars({ rows, rest, heads, label }) {
  return html`<ol class="bars" aria-label=${label}>
    <li class="bars-head" aria-hidden="true"><span>${heads[0]}</span><span>${heads[1]}</span></li>
    ${rows.map((row) => html`<li key=${row.key}>${bar(row)}</li>`)}
    ${rest ? html`<li key="rest" class="rest">${bar(rest)}</li>` : null}
  </ol>`;
}

function bar(row) {
  const inside = html`
    <span class="bar-label" title=${row.hint ?? row.label}>
      <svg class="bar" aria-hidden="true" preserveAspectRatio="none" viewBox="0 0 100 1"><rect width=${Math.max(0, Math.min(100, (row.share || 0) * 100))} height="1" /></svg>
      <span class=${`bar-text${row.isNone ? " none" : ""}`}>${row.label}</span>
    </span>
    <span class="bar-figure" title=${row.title}>${row.figure}</span>
    ${row.change ?? null}`;
  if (!row.href) return html`<div class="bar-row">${inside}</div>`;
  return html`<a class="bar-row" href=${row.href} aria-current=${row.on ? "true" : undefined}>${inside}</a>`;
}
