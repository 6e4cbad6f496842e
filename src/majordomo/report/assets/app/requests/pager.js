// From page to page by cursor: the address has it, so Back goes to the page before.
import { html } from "../ui.js";
import { hrefWith } from "../state.js";

// `next`: the answer's next_cursor; `query`: the address's; `newest`: words for the first page.
export function Pager({ query, next, newest = "Newest", older = "Older" }) {
  if (!next && !query.has("cursor")) return null;
  return html`<nav class="pager" aria-label="Pages of the list">
    ${query.has("cursor") ? html`<a class="button" href=${hrefWith({ cursor: null })}>${newest}</a>` : null}
    ${next ? html`<a class="button" href=${hrefWith({ cursor: next })}>${older} →</a>` : html`<span class="quiet">That is all of this period.</span>`}
  </nav>`;
}
