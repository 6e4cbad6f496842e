// Whether the page follows what comes, and a way to hold it.
import { html } from "../ui.js";
import { reachesNow } from "../live.js";
import { hrefWith } from "../state.js";

// `open`: what useLive or useLiveRefresh gave.
export function LiveMark({ query, open }) {
  if (!reachesNow(query)) return null;
  const off = query.get("live") === "off";
  const words = off ? "Held" : open ? "Live" : "Connecting";
  return html`<a class=${`button live ${open ? "on" : ""}`} href=${hrefWith({ live: off ? null : "off" })} title=${off ? "Follow new requests again" : "New requests appear on their own; press to hold the page still"}>
    <svg viewBox="0 0 10 10" width="10" height="10" aria-hidden="true">${off ? html`<path d="M2 1v8M8 1v8" stroke="currentColor" stroke-width="2.5" />` : html`<circle cx="5" cy="5" r="4" fill=${open ? "currentColor" : "none"} stroke="currentColor" stroke-width="1.5" />`}</svg>
    ${words}
  </a>`;
}
