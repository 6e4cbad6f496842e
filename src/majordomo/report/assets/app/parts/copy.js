// A button that copies a text, and a text with such a button.
import { html, useState } from "../ui.js";
import { toast } from "./toast.js";

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByHand(text); // no clipboard outside of https and localhost
  }
}

function copyByHand(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}

// `text`: what is copied; `label`: of the button.
export function Copy({ text, label = "Copy" }) {
  const [done, set] = useState(false);
  const click = async () => {
    if (await copy(text)) {
      set(true);
      setTimeout(() => set(false), 1500);
    } else toast("This browser does not let the page copy. Select the text and copy it.", { wrong: true });
  };
  return html`<button type="button" class="copy plain" onClick=${click}><span aria-live="polite">${done ? "Copied" : label}</span></button>`;
}

// A line or a block of code that can be copied.
export function Code({ text, label }) {
  return html`<div class="code"><pre tabindex="0" aria-label=${label}><code>${text}</code></pre><${Copy} text=${text} /></div>`;
}
