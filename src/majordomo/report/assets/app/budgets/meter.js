// How full a budget is: a bar, a percentage, and a word where it is nearly or wholly spent.
import { html } from "../ui.js";

const WORDS = { near: "near its limit", spent: "spent", paused: "paused" };

// `percent`: of the limit; `state`: fine, near, spent or paused.
export function Meter({ percent, state }) {
  const shown = Math.max(0, Math.min(100, percent));
  return html`<span class=${`meter ${state}`}>
    <svg aria-hidden="true" preserveAspectRatio="none" viewBox="0 0 100 1"><rect width=${shown} height="1" /></svg>
    <span class="meter-words">${percent >= 1000 ? `${Math.round(percent / 100)}×` : `${percent.toFixed(percent < 10 ? 1 : 0)}%`}${WORDS[state] ? ` · ${WORDS[state]}` : ""}</span>
  </span>`;
}
