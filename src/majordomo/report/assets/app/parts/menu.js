// A button that opens a small sheet under it; Escape, a click elsewhere and a chosen link close it.
import { html, useEffect, useRef, useState } from "../ui.js";

// `label`: the button's text or nodes; `name`: what it is, for screen readers. `children`: the sheet, or a function that gets `close`.
export function Menu({ label, name, className = "", align = "left", children }) {
  const [open, set] = useState(false);
  const place = useRef(null);
  const close = () => set(false);
  useEffect(() => {
    if (!open) return undefined;
    const elsewhere = (event) => place.current?.contains(event.target) || close();
    const escape = (event) => {
      if (event.key !== "Escape") return;
      close();
      place.current?.querySelector("button").focus();
    };
    addEventListener("pointerdown", elsewhere);
    addEventListener("keydown", escape);
    return () => {
      removeEventListener("pointerdown", elsewhere);
      removeEventListener("keydown", escape);
    };
  }, [open]);
  const chosen = (event) => event.target.closest("a") && close();
  return html`<div class=${`menu ${className}`} ref=${place}>
    <button type="button" class="menu-button" aria-expanded=${open ? "true" : "false"} aria-label=${name && typeof label === "string" && !name.includes(label) ? `${name}: ${label}` : name} onClick=${() => set(!open)}>${label}</button>
    ${open ? html`<div class=${`menu-sheet ${align}`} onClick=${chosen}>${typeof children === "function" ? children(close) : children}</div>` : null}
  </div>`;
}
