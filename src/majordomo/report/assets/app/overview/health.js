// What failed and how long it took, in short; both have pages of their own.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { ago, count, duration } from "../format.js";
import { asking, hrefTo, zoneOf } from "../state.js";
import { Empty } from "../parts/empty.js";
import { Panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";

// The provider's word for it; where it has none, how the request ended.
export function failure({ error_type, outcome }) {
  return error_type ?? outcome.replaceAll("_", " ");
}

export function Errors({ query }) {
  const asked = useAnswer("/usage/errors", asking(query, { limit: 7 }));
  return html`<${Panel} title="Errors" asked=${asked} aside=${html`<a href=${hrefTo("/errors")}>All errors</a>`}>
    ${(answer) => html`<${Table} caption="The most frequent errors" rows=${answer.rows} keyOf=${(row) => row.sample.id}
      href=${(row) => `/requests/${row.sample.id}`} empty=${html`<${Empty} title="Nothing failed in this period" />`}
      columns=${[
        { key: "what", label: "What", wide: true, render: (row) => html`<b>${row.status_code ?? "–"}</b> ${failure(row)}<br /><span class="quiet">${row.model ?? row.provider}</span>` },
        { key: "last", label: "Last", number: true, minor: true, render: (row) => ago(row.last_at, zoneOf(query)) },
        { key: "count", label: "Requests", number: true, render: (row) => count(row.requests) },
      ]} />`}
  <//>`;
}

export function Latency({ latency }) {
  return html`<${Panel} title="Latency" asked=${latency} aside=${html`<a href=${hrefTo("/latency")}>By model, over time</a>`}>
    ${({ total }) => html`<${Table} caption="Percentiles of latency" rows=${["response", "first_byte"]} keyOf=${(row) => row} columns=${[
      { key: "what", label: "Up to", render: (row) => (row === "response" ? "Last byte" : "First byte") },
      ...["p50", "p95", "p99"].map((name) => ({ key: name, label: name === "p50" ? "Median" : name, number: true, render: (row) => duration(total[row][name]) })),
      { key: "count", label: "Timed", number: true, minor: true, render: (row) => count(total[row].requests) },
    ]} />`}
  <//>`;
}
