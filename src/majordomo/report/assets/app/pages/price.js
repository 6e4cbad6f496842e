// What one model costs: by processing, prompt length and class of token, at each provider that sells it.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { hrefTo } from "../state.js";
import { Asked } from "../parts/asked.js";
import { Panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";

const words = (unit) => unit.replaceAll("_", " ");

export default function Price({ query, params }) {
  const provider = query.get("provider");
  const asked = useAnswer(`/prices/${params.rest.split("/").map(encodeURIComponent).join("/")}`, new URLSearchParams(provider ? { provider } : {}));
  return html`
    <p class="way"><a href=${hrefTo("/prices")}>Prices</a> <span aria-hidden="true">/</span> <code>${params.rest}</code></p>
    <${Asked} title=${params.rest} query=${query} plain>${provider ? html`<a class="button" href=${hrefTo(`/prices/${encodeURIComponent(params.rest)}`)}>At every provider</a>` : null}<//>
    <div class="stack">
      ${asked.answer && !asked.error ? asked.answer.prices.map((one) => html`<${List} key=${one.provider} it=${one} model=${params.rest} />`) : html`<${Panel} label="Prices" asked=${asked} />`}
      ${asked.answer ? html`<p class="quiet">Version ${asked.answer.version}, from ${asked.answer.source}. USD.</p>` : null}
    </div>
  `;
}

function List({ it, model }) {
  const units = [...new Set(it.lines.flatMap((line) => Object.keys(line.rates)))].filter((unit) => !saysNothingNew(it, unit));
  const title = html`<h2>${it.provider}${it.entry && it.entry !== model ? html` <span class="quiet">as ${it.entry}</span>` : null}</h2>`;
  return html`<${Panel} title=${title} label=${it.provider}>
    <${Table} caption=${`Rates at ${it.provider}`} rows=${it.lines} keyOf=${(line) => `${line.processing} ${line.above}`} columns=${[
      { key: "processing", label: "Processing", render: (line) => line.processing },
      { key: "above", label: "Prompt", render: (line) => (line.above === null ? "any length, or short" : `above ${line.above.toLocaleString("en-US")} tokens`) },
      ...units.map((unit) => ({
        key: unit,
        label: html`${words(unit)} <span class="quiet">${per(it, unit)}</span>`,
        number: true,
        render: (line) => (line.rates[unit] ? `${line.rates[unit].usd}${line.inexact.includes(unit) ? " ?" : ""}` : html`<span class="quiet">–</span>`),
      })),
    ]} />
    ${it.lines.some((line) => line.inexact.length) ? html`<p class="quiet">? cannot be charged exactly: requests that use it stay without a price.</p>` : null}
    ${it.comments ? html`<p class="quiet">${it.comments}</p>` : null}
    ${it.pages.map((page) => html`<p><a href=${page} target="_blank" rel="noreferrer noopener">${page}</a></p>`)}
  <//>`;
}

const per = (it, unit) => it.lines.find((line) => line.rates[unit]).rates[unit].per;

// Whether a finer unit costs what its coarser one does throughout.
function saysNothingNew(it, unit) {
  const coarse = unit.slice(0, unit.lastIndexOf("_"));
  return unit.includes("_") && it.lines.every((line) => line.rates[coarse] && line.rates[unit]?.usd === line.rates[coarse].usd);
}
