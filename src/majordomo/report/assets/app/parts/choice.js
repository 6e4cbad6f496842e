// A labelled choice of one of several, and a labelled text of several lines.
import { html } from "../ui.js";

// `choices`: [[value, words]]; everything else goes to the <select>.
export function Choice({ name, label, hint, choices, value, ...rest }) {
  const id = `field-${name}`;
  return html`<p class="field">
    <label for=${id}>${label}</label>
    <select id=${id} name=${name} aria-describedby=${hint ? `${id}-hint` : undefined} ...${rest}>
      ${choices.map(([one, words]) => html`<option key=${one} value=${one} selected=${one === value}>${words}</option>`)}
    </select>
    ${hint ? html`<span class="hint" id=${`${id}-hint`}>${hint}</span>` : null}
  </p>`;
}

export function Lines({ name, label, hint, value = "", ...rest }) {
  const id = `field-${name}`;
  return html`<p class="field">
    <label for=${id}>${label}</label>
    <textarea id=${id} name=${name} rows="3" spellcheck="false" aria-describedby=${hint ? `${id}-hint` : undefined} ...${rest}>${value}</textarea>
    ${hint ? html`<span class="hint" id=${`${id}-hint`}>${hint}</span>` : null}
  </p>`;
}

// "Team=legal" a line, as an object; a line without "=" is an error that says which.
export function pairs(text = "") {
  const found = {};
  for (const line of text.split("\n").map((one) => one.trim()).filter(Boolean)) {
    const at = line.indexOf("=");
    if (at < 1) throw new Error(`"${line}" is no pair: write Name=value, one a line`);
    found[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return found;
}

export function asLines(object) {
  return Object.entries(object ?? {}).map(([name, value]) => `${name}=${value}`).join("\n");
}
