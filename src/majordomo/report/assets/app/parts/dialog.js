// A modal dialog: the browser's own, which keeps the focus and closes with Escape.
import { html, useEffect, useRef } from "../ui.js";

// `onClose`: also for Escape and the × button. `children`: the contents; put the buttons into <footer>.
export function Dialog({ title, onClose, children }) {
  const place = useRef(null);
  useEffect(() => {
    const dialog = place.current;
    if (!dialog.open) dialog.showModal();
    return () => dialog.close();
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog ref=${place} onCancel=${cancel} aria-label=${title}>
    <header><h2>${title}</h2><button type="button" class="close plain" aria-label="Close" onClick=${onClose}>×</button></header>
    ${children}
  </dialog>`;
}
