// A sheet with a heading. What is loading keeps the old contents, paler; what failed says why.
import { html } from "../ui.js";
import { Problem } from "./problem.js";

// `title`: text, or nodes such as tabs. `aside`: to the right of it. `asked`: what useAnswer gave (optional).
// `children`: the contents, shown once there is an answer; pass a function to get it only then.
export function Panel({ title, aside, asked, className = "", label, children }) {
  const heading = typeof title === "string";
  return html`<section class=${`panel ${className}`} aria-label=${label ?? (heading ? title : undefined)} aria-busy=${asked?.loading ? "true" : undefined}>
    ${title || aside ? html`<header class="panel-head">${heading ? html`<h2>${title}</h2>` : title}${aside}</header>` : null}
    <div class=${`panel-body${asked?.loading ? " waiting" : ""}`}>${contents(asked, children)}</div>
  </section>`;
}

function contents(asked, children) {
  if (!asked) return children;
  if (asked.error) return html`<${Problem} error=${asked.error} retry=${asked.reload} />`;
  if (!asked.answer) return html`<div class="hold" />`;
  return typeof children === "function" ? children(asked.answer) : children;
}
