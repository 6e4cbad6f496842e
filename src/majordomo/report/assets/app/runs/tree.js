// The spans of a run, each before those below it, indented by their depth.
import { html } from "../ui.js";
import { count, duration, exactMoney, money } from "../format.js";
import { Table } from "../parts/table.js";

// `spans` and `leftOut`: of GET /usage/runs/{trace_id}.
export function Tree({ spans, leftOut }) {
  const [root] = spans;
  const begin = Date.parse(root.first_at);
  const whole = Math.max(1, root.duration_ms);
  const cost = (usage) => html`<span title=${exactMoney(usage.total_cost)}>${usage.requests && usage.cost_unknown ? "unknown" : money(usage.total_cost)}</span>`;
  const share = (span) => (Number(root.total.total_cost) ? (100 * Number(span.total.total_cost)) / Number(root.total.total_cost) : 0);
  const when = (span) => {
    const from = (100 * (Date.parse(span.first_at) - begin)) / whole;
    return html`<svg class="when" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect x=${from} width=${Math.max(0.8, (100 * span.duration_ms) / whole)} height="4" class="fill-s1" /></svg>`;
  };
  return html`
    <${Table} caption="Spans of the run" rows=${spans} keyOf=${(span) => span.path} columns=${[
      { key: "name", label: "Part", wide: true, render: (span) => html`<span class=${`depth depth-${Math.min(span.depth, 10)}`}><b title=${span.path || "the run itself"}>${span.path ? span.name : "The run"}</b>${span.models.length ? html`<br /><span class="quiet">${span.models.join(", ")}</span>` : null}</span>` },
      { key: "total", label: "Cost with all below", number: true, render: (span) => html`${cost(span.total)}<svg class="share" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect width=${share(span)} height="4" class="fill-s1" /></svg>` },
      { key: "own", label: "Alone", number: true, minor: true, render: (span) => (span.own.requests ? cost(span.own) : html`<span class="quiet">–</span>`) },
      { key: "requests", label: "Requests", number: true, render: (span) => html`${count(span.total.requests)}${span.total.errors ? html` <span class="bad" title="failed">✕ ${span.total.errors}</span>` : null}` },
      { key: "took", label: "Took", number: true, minor: true, render: (span) => duration(span.duration_ms) },
      { key: "when", label: "When", minor: true, render: when },
    ]} />
    ${leftOut ? html`<p class="quiet">${count(leftOut)} further parts are not shown; they are in the sums.</p>` : null}`;
}
