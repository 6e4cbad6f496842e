// What went wrong, in the API's own words, and a way to try again.
import { html } from "../ui.js";

// `error`: an ApiError. `retry`: what the button does; none if left out.
export function Problem({ error, retry }) {
  return html`<div class="problem" role="alert">
    <p>${error.message.replace(/^[a-z]/, (first) => first.toUpperCase())}</p>
    ${error.details?.length
      ? html`<ul>
          ${error.details.map((one) => html`<li>${one.where ? html`<code>${one.where}</code>: ` : null}${one.problem ?? JSON.stringify(one)}</li>`)}
        </ul>`
      : null}
    ${retry ? html`<button type="button" class="plain" onClick=${retry}>Try again</button>` : null}
  </div>`;
}
