// A labelled input of a form.
import { html } from "../ui.js";

// `name`, `label`, `hint`; everything else goes to the <input>.
export function Field({ name, label, hint, ...rest }) {
  const id = rest.id ?? `field-${name}`;
  return html`<p class="field">
    <label for=${id}>${label}</label>
    <input id=${id} name=${name} aria-describedby=${hint ? `${id}-hint` : undefined} ...${rest} />
    ${hint ? html`<span class="hint" id=${`${id}-hint`}>${hint}</span>` : null}
  </p>`;
}
