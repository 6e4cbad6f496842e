// How a figure moved against the time before: an arrow, a percentage, and a tint where up is good or bad.
import { html } from "../ui.js";
import { growth } from "../format.js";

// `goodWhen`: "up", "down", or nothing where neither is either.
export function Change({ now, before, goodWhen, hint }) {
  const share = growth(now, before);
  if (share === null) {
    const fresh = Number(before) === 0 && Number(now) > 0;
    return fresh ? html`<span class="change" title=${hint}>new</span>` : null;
  }
  const way = Math.abs(share) < 0.0005 ? "same" : share > 0 ? "up" : "down";
  const tint = goodWhen && way !== "same" ? (way === goodWhen ? "good" : "bad") : "";
  const arrow = { up: "↑", down: "↓", same: "→" }[way];
  const word = { up: "up", down: "down", same: "unchanged" }[way];
  return html`<span class=${`change ${tint}`} title=${hint}>
    <span aria-hidden="true">${arrow} </span><span class="unseen">${word} </span>${size(Math.abs(share))}
  </span>`;
}

function size(share) {
  if (share >= 10) return `${share >= 100 ? ">100" : Math.round(share + 1)}×`;
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)}%`;
}
