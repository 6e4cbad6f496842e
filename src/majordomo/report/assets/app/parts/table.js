// A table that scrolls sideways rather than break the page.
import { html } from "../ui.js";

// `columns`: [{ key, label, number?, wide?, minor?, sort?, sorted?, render(row) }]. A minor one is left out on a phone; one
// with `sort` (an address) is headed by a link, and `sorted` marks the one in force. `rows`: any; `keyOf(row)`;
// `href(row)`: where the row leads; `empty`: shown instead of no rows.
export function Table({ columns, rows, keyOf, href, caption, empty, rowClass }) {
  if (!rows.length && empty) return empty;
  return html`<div class="scrolls" tabindex="0" role="region" aria-label=${`${caption}, table`}>
    <table>
      <caption class="unseen">${caption}</caption>
      <thead>
        <tr>${columns.map((column) => html`<th key=${column.key} scope="col" class=${kind(column)} aria-sort=${column.sorted ? "descending" : undefined}>${head(column)}</th>`)}</tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) => html`<tr key=${keyOf(row)} class=${`${href ? "leads" : ""} ${rowClass?.(row) ?? ""}`}>
            ${columns.map((column, place) => html`<td key=${column.key} class=${kind(column)}>${cell(column, row, place === 0 && href ? href(row) : null)}</td>`)}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function kind(column) {
  return [column.number ? "number" : "", column.wide ? "wide" : "", column.minor ? "minor" : ""].join(" ").trim();
}

function head(column) {
  return column.sort ? html`<a href=${column.sort}>${column.label}</a>` : column.label;
}

function cell(column, row, to) {
  const shown = column.render(row);
  return to ? html`<a class="row-link" href=${to}>${shown}</a>` : shown;
}
