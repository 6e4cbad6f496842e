// Prices: what the models in use cost, and any other that is looked for.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { count, exactMoney, money } from "../format.js";
import { asking, change, hrefTo } from "../state.js";
import { Asked } from "../parts/asked.js";
import { Empty } from "../parts/empty.js";
import { Field } from "../parts/field.js";
import { Panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";

// Few where nothing is looked for: nobody reads two thousand lines.
const MOST_FOUND = 100;
const MOST_UNASKED = 15;

export default function Prices({ query }) {
  const words = query.get("q") ?? "";
  const found = useAnswer("/prices", new URLSearchParams({ q: words, limit: words ? MOST_FOUND : MOST_UNASKED }));
  const used = useAnswer("/usage/breakdown", asking(query, { group_by: "model", limit: 50 }));
  const search = (event) => {
    event.preventDefault();
    change({ q: new FormData(event.currentTarget).get("q") });
  };
  return html`
    <${Asked} title="Prices" query=${query} plain />
    <div class="stack">
      ${words ? null : html`<${Panel} title="Models in use, last 30 days" asked=${used}>${(answer) => html`<${Used} rows=${answer.rows} />`}<//>`}
      <${Panel} title="All models" asked=${found} aside=${found.answer ? html`<span class="quiet">version ${found.answer.version}</span>` : null}>
        ${(answer) => html`
          ${answer.overlay_error ? html`<p class="bad">The price overlay is not in use as it is now: ${answer.overlay_error}</p>` : null}
          <form class="inline-form" role="search" onSubmit=${search}>
            <${Field} name="q" label="Find a model" type="search" value=${words} placeholder="anthropic sonnet" />
            <button type="submit">Find</button>
          </form>
          <${Found} answer=${answer} words=${words} />`}
      <//>
    </div>
  `;
}

function Used({ rows }) {
  const named = rows.filter((row) => row.value !== null);
  return html`<${Table} caption="Models in use" rows=${named} keyOf=${(row) => row.value} href=${(row) => hrefTo(`/prices/${encodeURIComponent(row.value)}`)} empty=${html`<${Empty} title="No model was used" />`} columns=${[
    { key: "model", label: "Model", wide: true, render: (row) => row.value },
    { key: "requests", label: "Requests", number: true, render: (row) => count(row.usage.requests) },
    { key: "unpriced", label: "Without a price", number: true, render: (row) => (row.usage.unpriced ? html`<span class="bad">${count(row.usage.unpriced)}</span>` : "0") },
    { key: "cost", label: "Cost", number: true, render: (row) => html`<span title=${exactMoney(row.usage.total_cost)}>${row.usage.cost_unknown ? "unknown" : money(row.usage.total_cost)}</span>` },
  ]} />`;
}

function Found({ answer, words }) {
  const rate = (name) => (row) => (row.rates[name] ? html`$${row.rates[name].usd}` : html`<span class="quiet">–</span>`);
  const empty = html`<${Empty} title=${`No model has "${words}" in its name`}><p>A model of your own gets its rates in the price overlay.</p><//>`;
  return html`
    <${Table} caption="Models" rows=${answer.models} keyOf=${(row) => `${row.provider}/${row.model}`} empty=${empty} href=${(row) => hrefTo(`/prices/${encodeURIComponent(row.model)}`, { provider: row.provider })} columns=${[
      { key: "model", label: "Model", wide: true, render: (row) => row.model },
      { key: "provider", label: "Provider", render: (row) => row.provider },
      { key: "input", label: "Input", number: true, render: rate("input") },
      { key: "cached", label: "Read from a cache", number: true, minor: true, render: rate("cache_read") },
      { key: "output", label: "Output", number: true, render: rate("output") },
    ]} />
    <p class="quiet">USD for a million tokens, standard processing, short prompts. ${answer.found > answer.models.length ? `The first ${count(answer.models.length)} of ${count(answer.found)} are shown: find by name.` : `${count(answer.found)} found.`}</p>`;
}
