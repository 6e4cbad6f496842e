// Names and values, one pair a line; a value of null or "" is left out.
import { html } from "../ui.js";

// `facts`: [[name, value]]; `wide`: long names and values.
export function Facts({ facts, wide = false }) {
  return html`<dl class=${wide ? "facts wide" : "facts"}>
    ${facts.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value], place) => html`<div key=${place}><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}
