// Requests as rows: each leads to its own page, its metadata are filters.
import { html } from "../ui.js";
import { toggled, write } from "../filters.js";
import { count, duration, exactMoney, moment, money, short } from "../format.js";
import { hrefTo } from "../state.js";
import { Table } from "../parts/table.js";
import { Ending, isFailed } from "./ending.js";

const MOST_METADATA = 3;

// `requests`: of GET /usage/requests; `fresh`: ids that have just come.
export function RequestList({ requests, zone, empty, fresh }) {
  return html`<${Table} caption="Requests" rows=${requests} keyOf=${(row) => row.id} empty=${empty} href=${(row) => hrefTo(`/requests/${row.id}`)}
    rowClass=${(row) => `${isFailed(row) ? "failed" : ""} ${fresh?.has(row.id) ? "fresh" : ""}`} columns=${[
      { key: "at", label: "Time", render: (row) => html`<span class="nowrap">${moment(row.requested_at, zone)}</span>` },
      { key: "model", label: "Model", render: (row) => html`${row.model ?? html`<span class="none">(none)</span>`}<br /><span class="quiet">${row.provider}</span>` },
      { key: "who", label: "Key and metadata", wide: true, minor: true, render: who },
      { key: "ending", label: "Result", render: (row) => html`<${Ending} request=${row} />` },
      { key: "in", label: "Prompt", number: true, minor: true, render: (row) => tokens(row.prompt_tokens, row.cached_tokens ? `${short(row.cached_tokens)} cached` : "") },
      { key: "out", label: "Output", number: true, minor: true, render: (row) => tokens(row.output_tokens, row.reasoning_tokens ? `${short(row.reasoning_tokens)} reasoning` : "") },
      { key: "cost", label: "Cost", number: true, render: (row) => cost(row) },
      { key: "time", label: "Took", number: true, minor: true, render: (row) => html`${duration(row.response_time_ms)}${row.time_to_first_byte_ms === null ? null : html`<br /><span class="quiet" title="to the first byte">${duration(row.time_to_first_byte_ms)}</span>`}` },
    ]} />`;
}

function tokens(number, note) {
  return html`<span title=${count(number)}>${short(number)}</span>${note ? html`<br /><span class="quiet">${note}</span>` : null}`;
}

export function cost(row) {
  if (row.unpriced) return html`<span class="warn" title="something was used, and no price is known">unknown</span>`;
  return row.total_cost === null ? "–" : html`<span title=${exactMoney(row.total_cost)}>${money(row.total_cost)}</span>`;
}

function who(row) {
  const told = Object.entries(row.metadata);
  return html`<a class="tag" href=${toggled(write({ dimension: "key", value: row.key }))} title="Filter by this gateway key">${row.key_name ?? row.key}</a>
    ${told.slice(0, MOST_METADATA).map(([name, value]) => html` <a key=${name} class="tag" href=${toggled(write({ dimension: name.startsWith("-") ? `metadata.${name}` : name, value }))} title=${`${name}: ${value}`}><span class="quiet">${name}</span> ${value}</a>`)}
    ${told.length > MOST_METADATA ? html` <span class="quiet">+${told.length - MOST_METADATA}</span>` : null}`;
}
