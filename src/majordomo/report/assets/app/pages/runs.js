// Agent runs, the last seen first: what each cost, in how many requests and spans, and how long it went on.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { count, duration, exactMoney, moment, money, short } from "../format.js";
import { useLiveRefresh } from "../live.js";
import { asking, zoneOf } from "../state.js";
import { Asked } from "../parts/asked.js";
import { Code } from "../parts/copy.js";
import { Empty } from "../parts/empty.js";
import { LiveMark } from "../parts/live_mark.js";
import { Panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";
import { runHref } from "../runs/address.js";
import { Pager } from "../requests/pager.js";

const HEADERS = `-H "X-Majordomo-Trace-Id: $RUN" \\
-H "X-Majordomo-Span-Path: research/search" \\
-H "X-Majordomo-Span-Name: look for sources"`;

export default function Runs({ query }) {
  const asked = useAnswer("/usage/runs", asking(query, { cursor: query.get("cursor") }));
  const open = useLiveRefresh(query, { off: query.has("cursor") });
  return html`
    <${Asked} title="Runs" query=${query}>${query.has("cursor") ? null : html`<${LiveMark} query=${query} open=${open} />`}<//>
    <${Panel} label="Runs" asked=${asked}>
      ${(answer) => html`<${List} runs=${answer.runs} zone=${zoneOf(query)} /><${Pager} query=${query} next=${answer.next_cursor} newest="Last seen" />`}
    <//>
  `;
}

function List({ runs, zone }) {
  const empty = html`<${Empty} title="No run in this period">
    <p>Requests of one agent run belong together when they say so, and then this page shows the run as a tree of what each part of it cost:</p>
    <${Code} text=${HEADERS} label="Headers of a run" />
  <//>`;
  return html`<${Table} caption="Runs" rows=${runs} keyOf=${(row) => row.run} empty=${empty} href=${(row) => runHref(row.run)} columns=${[
    { key: "run", label: "Run", wide: true, render: (row) => row.run || html`<span class="none">(empty)</span>` },
    { key: "last", label: "Last request", render: (row) => html`<span class="nowrap">${moment(row.last_at, zone)}</span>` },
    { key: "duration", label: "Took", number: true, minor: true, render: (row) => duration(row.duration_ms) },
    { key: "spans", label: "Spans", number: true, minor: true, render: (row) => count(row.spans) },
    { key: "requests", label: "Requests", number: true, render: (row) => html`${count(row.usage.requests)}${row.usage.errors ? html` <span class="bad" title="failed">✕ ${row.usage.errors}</span>` : null}` },
    { key: "tokens", label: "Tokens", number: true, minor: true, render: (row) => html`<span title=${`${count(row.usage.prompt_tokens)} of prompts, ${count(row.usage.output_tokens)} of output`}>${short(row.usage.prompt_tokens + row.usage.output_tokens)}</span>` },
    { key: "cost", label: "Cost", number: true, render: (row) => html`<span title=${exactMoney(row.usage.total_cost)}>${row.usage.cost_unknown ? "unknown" : money(row.usage.total_cost)}</span>` },
  ]} />`;
}
