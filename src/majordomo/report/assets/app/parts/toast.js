// A short word about what was just done, at the foot of the page for some seconds.
import { html, useEffect, useState } from "../ui.js";

let show = () => undefined;

// `wrong`: it failed.
export function toast(text, { wrong = false } = {}) {
  show({ text, wrong, id: Math.random() });
}

export function Toasts() {
  const [one, set] = useState(null);
  useEffect(() => {
    show = set;
  }, []);
  useEffect(() => {
    if (!one) return undefined;
    const timer = setTimeout(() => set(null), one.wrong ? 8000 : 4000);
    return () => clearTimeout(timer);
  }, [one]);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${one ? html`<p key=${one.id} class=${one.wrong ? "toast wrong" : "toast"}>${one.text}</p>` : null}
  </div>`;
}
