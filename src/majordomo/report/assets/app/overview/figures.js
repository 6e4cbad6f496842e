// The foremost figures, each against the time before, and each a link that turns the page to it.
import { html } from "../ui.js";
import { count, duration, exactMoney, money, percent, short } from "../format.js";
import { hrefWith } from "../state.js";
import { Change } from "../parts/change.js";
import { Panel } from "../parts/panel.js";
import { Problem } from "../parts/problem.js";
import { METRICS, chosenMetric, valueOf } from "./metrics.js";

// `summary`, `latency`, `earlier`: what useAnswer gave for the usage and latency of now, and the latency of before.
export function Figures({ query, summary, latency, earlier, children }) {
  const { answer, error, reload, loading } = summary;
  const shown = answer ? figures(answer, latency.answer?.total, earlier.answer?.total) : [];
  return html`<${Panel} className="whole" label="Figures and trend">
    ${error ? html`<${Problem} error=${error} retry=${reload} />` : null}
    <ul class=${loading && answer ? "figures waiting" : "figures"}>
      ${shown.map((one) => html`<li key=${one.name}>${figure(one, one.name === chosenMetric(query))}</li>`)}
      ${answer || error ? null : html`<li class="figure-hold"><div class="hold" /></li>`}
    </ul>
    ${children}
  <//>`;
}

function figure({ name, label, shown, title, note, now, before }, on) {
  return html`<a class="figure" href=${hrefWith({ metric: name === "total_cost" ? null : name })} aria-current=${on ? "true" : undefined}>
    <span class="figure-label">${label}</span>
    <span class="figure-value" title=${title}>${shown}</span>
    <span class="figure-foot"><${Change} now=${now} before=${before} goodWhen=${METRICS[name].good} hint="against the time of the same length before" /><span class="quiet">${note}</span></span>
  </a>`;
}

function figures({ usage, previous }, times, timesBefore) {
  const before = previous.usage;
  const pair = (name) => ({ name, label: METRICS[name].label, now: valueOf(name, usage), before: valueOf(name, before) });
  const cost = usage.cost_unknown ? "unknown" : money(usage.total_cost);
  return [
    { ...pair("total_cost"), shown: cost, title: exactMoney(usage.total_cost), note: before.requests ? `from ${money(before.total_cost)}` : "" },
    { ...pair("requests"), shown: short(usage.requests), title: count(usage.requests), note: before.requests ? `from ${short(before.requests)}` : "" },
    {
      ...pair("tokens"),
      shown: short(usage.prompt_tokens + usage.output_tokens),
      title: `${count(usage.prompt_tokens)} of prompts, ${count(usage.output_tokens)} of output`,
      note: `${short(usage.output_tokens)} output`,
    },
    { ...pair("cache"), shown: percent(usage.cache_hit_rate), title: `${count(usage.cached_tokens)} of ${count(usage.prompt_tokens)} prompt tokens`, note: `${short(usage.cached_tokens)} tokens` },
    { ...pair("errors"), now: usage.error_rate, before: before.error_rate, shown: percent(usage.error_rate), title: `${count(usage.errors)} of ${count(usage.requests)} requests`, note: `${count(usage.errors)} failed` },
    {
      name: "latency",
      label: METRICS.latency.label,
      now: times?.response.p95,
      before: timesBefore?.response.p95,
      shown: duration(times?.response.p95),
      title: times ? `median ${duration(times.response.p50)}, p99 ${duration(times.response.p99)}` : "",
      note: times ? `first byte ${duration(times.first_byte.p95)}` : "",
    },
  ];
}
