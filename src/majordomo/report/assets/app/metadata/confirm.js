// The question before a key with very many values is activated.
import { html } from "../ui.js";
import { Dialog } from "../parts/dialog.js";

// `error`: the API's doubt, in its own words; `go`: activates it all the same.
export function Confirm({ name, error, go, onClose }) {
  return html`<${Dialog} title=${`${name} has very many values`} onClose=${onClose}>
    <div class="dialog-body">
      <p>${error.message.split("; if that")[0]}.</p>
      <footer>
        <button type="button" onClick=${onClose}>Leave it</button>
        <button type="button" class="main" onClick=${go}>Activate it all the same</button>
      </footer>
    </div>
  <//>`;
}
