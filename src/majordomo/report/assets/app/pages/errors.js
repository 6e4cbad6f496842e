// What failed: how often over time, and each kind with its newest request.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { count, moment, percent } from "../format.js";
import { useLiveRefresh } from "../live.js";
import { asking, hrefTo, zoneOf } from "../state.js";
import { failure } from "../overview/health.js";
import { METRICS } from "../overview/metrics.js";
import { byDimension } from "../overview/series.js";
import { Asked } from "../parts/asked.js";
import { Empty } from "../parts/empty.js";
import { LiveMark } from "../parts/live_mark.js";
import { Panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";
import { Trend } from "../parts/trend.js";

const MOST_KINDS = 100;

export default function Errors({ query }) {
  const kinds = useAnswer("/usage/errors", asking(query, { limit: MOST_KINDS }));
  const series = useAnswer("/usage/timeseries", asking(query, { metric: "errors", group_by: "status", sort: "errors", limit: 7, compare: "previous" }));
  const open = useLiveRefresh(query);
  return html`
    <${Asked} title="Errors" query=${query}><${LiveMark} query=${query} open=${open} /><//>
    <div class="stack">
      <${Panel} title="Failed requests over time, by status" asked=${series}>
        ${(answer) => html`<${Trend} ...${failing(byDimension(answer, ["errors"]))} buckets=${answer.buckets} end=${answer.period.to} granularity=${answer.granularity} zone=${zoneOf(query)} format=${METRICS.errors.axis} exact=${count} label="Failed requests over time" />`}
      <//>
      <${Panel} asked=${kinds} title="Kinds of failure" aside=${html`<a href=${hrefTo("/requests", { errors: "true" })}>All failed requests</a>`}>
        ${(answer) => html`
          <p class="quiet">${count(answer.errors)} of ${count(answer.requests)} requests failed${answer.requests ? ` (${percent(answer.errors / answer.requests)})` : ""}, in ${count(answer.kinds)} ${answer.kinds === 1 ? "kind" : "kinds"}.</p>
          <${Kinds} rows=${answer.rows} zone=${zoneOf(query)} />`}
      <//>
    </div>
  `;
}

// Statuses without any failure are no part of the picture.
function failing(drawn) {
  return { ...drawn, series: drawn.series.filter((one) => one.values.some(Boolean)) };
}

function Kinds({ rows, zone }) {
  return html`<${Table} caption="Kinds of failure" rows=${rows} keyOf=${(row) => row.sample.id} href=${(row) => hrefTo(`/requests/${row.sample.id}`)} empty=${html`<${Empty} title="Nothing failed in this period" />`} columns=${[
    { key: "what", label: "What", render: (row) => html`<b>${row.status_code ?? "no reply"}</b> ${failure(row).replaceAll("_", " ")}` },
    { key: "model", label: "Model", minor: true, render: (row) => html`${row.model ?? html`<span class="none">(none)</span>`}<br /><span class="quiet">${row.provider}</span>` },
    { key: "message", label: "What was said last", wide: true, minor: true, render: (row) => row.sample.message ?? html`<span class="quiet">–</span>` },
    { key: "last", label: "Last", render: (row) => moment(row.last_at, zone) },
    { key: "count", label: "Requests", number: true, render: (row) => count(row.requests) },
  ]} />`;
}
