// A link or a secret that is shown this once.
import { html } from "../ui.js";
import { Code } from "../parts/copy.js";
import { Dialog } from "../parts/dialog.js";

// `children`: what it is for.
export function ToldOnce({ title, text, onClose, children }) {
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <div class="dialog-body">
      <p>${children}</p>
      <${Code} text=${text} label=${title} />
      <footer><button type="button" class="main" onClick=${onClose}>I have copied it</button></footer>
    </div>
  <//>`;
}
