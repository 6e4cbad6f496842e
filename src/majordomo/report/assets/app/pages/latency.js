// How long requests took: over time, and by the values of a dimension.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { useDimensions, words } from "../dimensions.js";
import { filterFor, toggled } from "../filters.js";
import { count, duration } from "../format.js";
import { useLiveRefresh } from "../live.js";
import { asking, hrefWith, zoneOf } from "../state.js";
import { ofLatency } from "../overview/series.js";
import { Asked } from "../parts/asked.js";
import { Empty } from "../parts/empty.js";
import { Menu } from "../parts/menu.js";
import { LiveMark } from "../parts/live_mark.js";
import { Panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";
import { Trend } from "../parts/trend.js";

const PERCENTILES = [["p50", "Median"], ["p95", "p95"], ["p99", "p99"]];

export default function Latency({ query }) {
  const by = query.get("group_by") ?? "model";
  const asked = useAnswer("/usage/latency", asking(query, { group_by: by, limit: 30, granularity: query.get("granularity") }));
  const open = useLiveRefresh(query);
  return html`
    <${Asked} title="Latency" query=${query}><${LiveMark} query=${query} open=${open} /><//>
    <div class="stack">
      <${Panel} title="Over time" asked=${asked}>
        ${(answer) => html`<${Trend} ...${ofLatency(answer)} buckets=${answer.buckets} end=${answer.period.to} granularity=${answer.granularity} zone=${zoneOf(query)} format=${duration} exact=${duration} label="Latency over time" />`}
      <//>
      <${Panel} title=${`By ${words(by)}`} asked=${asked} aside=${html`<${By} chosen=${by} />`}>
        ${(answer) => html`<${Shares} answer=${answer} by=${by} />`}
      <//>
    </div>
    <p class="caveats">From a request's arrival to the last, and to the first, byte of its reply; failed ones, too. Within 2.5 % of the exact percentile.</p>
  `;
}

function By({ chosen }) {
  return html`<${Menu} label=${words(chosen)} name="Grouped by" align="right">
    ${useDimensions().map((one) => html`<a key=${one.name} href=${hrefWith({ group_by: one.name === "model" ? null : one.name })} aria-current=${one.name === chosen ? "true" : undefined}>${words(one.name)}</a>`)}
  <//>`;
}

function Shares({ answer, by }) {
  const rows = [...answer.rows, { ...answer.total, isTotal: true }];
  const name = (row) => {
    if (row.isTotal) return html`<b>All</b>`;
    if (row.is_rest) return html`<span class="quiet">The rest</span>`;
    return html`<a href=${toggled(filterFor(by, row.value))}>${row.value === null ? html`<span class="none">(none)</span>` : row.value === "" ? "(empty)" : (row.label ?? row.value)}</a>`;
  };
  const column = (kind, head) => ([key, label]) => ({ key: kind + key, label: `${head} ${label}`, number: true, minor: kind === "first_byte" || key === "p99", render: (row) => duration(row[kind][key]) });
  return html`<${Table} caption=${`Latency by ${words(by)}`} rows=${rows} keyOf=${(row) => (row.isTotal ? "all" : row.is_rest ? "rest" : `=${row.value}`)} empty=${html`<${Empty} title="Nothing was timed in this period" />`} columns=${[
    { key: "name", label: words(by), wide: true, render: name },
    ...PERCENTILES.map(column("response", "Response,")),
    ...PERCENTILES.map(column("first_byte", "First byte,")),
    { key: "count", label: "Timed", number: true, minor: true, render: (row) => count(row.response.requests) },
  ]} />`;
}
