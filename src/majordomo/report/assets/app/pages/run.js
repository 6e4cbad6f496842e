// One agent run as a tree: what each part cost alone and with all below it, and when it went on.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { write } from "../filters.js";
import { count, duration, exactMoney, longMoment, money, short } from "../format.js";
import { hrefTo, zoneOf } from "../state.js";
import { Asked } from "../parts/asked.js";
import { Copy } from "../parts/copy.js";
import { Panel } from "../parts/panel.js";
import { Tree } from "../runs/tree.js";

export default function Run({ query, params }) {
  const run = params.rest;
  const asked = useAnswer(`/usage/runs/${encodeURIComponent(run)}`);
  const mine = asked.answer?.run === run ? asked.answer : null;
  const root = mine?.spans[0];
  return html`
    <p class="way"><a href=${hrefTo("/runs")}>Runs</a> <span aria-hidden="true">/</span> ${root ? `began ${longMoment(root.first_at, zoneOf(query))}` : ""} <${Copy} text=${run} label="Copy id" /></p>
    <${Asked} title=${run} query=${query} plain><a class="button" href=${hrefTo("/requests", { filter: write({ dimension: "run", value: run }) })}>Its requests</a><//>
    <div class="stack">
      ${root ? html`<${Panel} label="The whole run"><${Whole} root=${root} /><//>` : null}
      <${Panel} title="What each part cost" asked=${mine ? null : asked}>${mine ? html`<${Tree} spans=${mine.spans} leftOut=${mine.left_out} />` : null}<//>
    </div>
  `;
}

function Whole({ root }) {
  const { total } = root;
  const figures = [
    ["Cost", total.cost_unknown ? "unknown" : money(total.total_cost), exactMoney(total.total_cost)],
    ["Requests", count(total.requests), ""],
    ["Tokens", short(total.prompt_tokens + total.output_tokens), `${count(total.prompt_tokens)} of prompts, ${count(total.output_tokens)} of output`],
    ["Failed", count(total.errors), ""],
    ["Took", duration(root.duration_ms), ""],
  ];
  return html`<ul class="figures">${figures.map(([label, shown, title]) => html`<li key=${label} class="figure"><span class="figure-label">${label}</span><span class="figure-value" title=${title}>${shown}</span></li>`)}</ul>`;
}
