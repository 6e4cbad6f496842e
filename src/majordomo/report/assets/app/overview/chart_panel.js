// The trend of the chosen metric: stacked by a dimension or by class, as a chart or as a table.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { useDimensions, words } from "../dimensions.js";
import { asking, hrefWith, zoneOf } from "../state.js";
import { Menu } from "../parts/menu.js";
import { Problem } from "../parts/problem.js";
import { Trend } from "../parts/trend.js";
import { METRICS, chosenMetric } from "./metrics.js";
import { byClass, byDimension, ofLatency, ofRate } from "./series.js";

const CLASSES = {
  total_cost: ["input_cost", "cache_read_cost", "cache_creation_cost", "output_cost", "tool_cost"],
  tokens: ["uncached_tokens", "cached_tokens", "cache_creation_tokens", "output_tokens"],
};
const MOST = 7;
const GRANULARITIES = ["hour", "day", "week", "month"];

export function ChartPanel({ query, latency }) {
  const name = chosenMetric(query);
  const metric = METRICS[name];
  const by = metric.isRate ? "total" : stackedBy(query, name);
  const isClass = by === "class";
  const params = asking(query, {
    metric: isClass ? CLASSES[name] : metric.fetch,
    group_by: isClass || by === "total" ? null : by,
    granularity: query.get("granularity"),
    limit: MOST,
    sort: metric.sort,
    compare: "previous",
  });
  const series = useAnswer(name === "latency" ? null : "/usage/timeseries", params);
  const asked = name === "latency" ? latency : series;
  const drawn = asked.answer && draw(name, by, asked.answer);
  const asTable = query.get("view") === "table";
  return html`<section class="trend" aria-label=${`${metric.label} over time`}>
    <div class="trend-head">
      <h2>${metric.label} over time</h2>
      <div class="trend-controls">
        ${metric.isRate ? null : html`<${By} chosen=${by} canClass=${name in CLASSES} />`}
        <${Menu} label=${`By ${asked.answer?.granularity ?? "day"}`} name="Width of the buckets" align="right">
          <a href=${hrefWith({ granularity: null })} aria-current=${query.get("granularity") ? undefined : "true"}>As fits the period</a>
          ${GRANULARITIES.map((one) => html`<a key=${one} href=${hrefWith({ granularity: one })} aria-current=${query.get("granularity") === one ? "true" : undefined}>${words(one).replace(/^./, (first) => first.toUpperCase())}</a>`)}
        <//>
        <a class="button" href=${hrefWith({ view: asTable ? null : "table" })}>${asTable ? "Chart" : "Table"}</a>
      </div>
    </div>
    ${asked.error ? html`<${Problem} error=${asked.error} retry=${asked.reload} />` : null}
    ${drawn
      ? html`<${Trend} ...${drawn} buckets=${asked.answer.buckets} end=${asked.answer.period.to} granularity=${asked.answer.granularity} zone=${zoneOf(query)} format=${metric.axis} exact=${metric.exact} asTable=${asTable} label=${`${metric.label} over time`} />`
      : html`<div class="hold chart-hold" />`}
  </section>`;
}

function stackedBy(query, name) {
  const by = query.get("group_by") ?? "model";
  return by === "class" && !(name in CLASSES) ? "total" : by;
}

function draw(name, by, answer) {
  if (name === "latency") return answer.points ? ofLatency(answer) : null;
  const needed = by === "class" ? CLASSES[name] : METRICS[name].fetch;
  if (!answer.total || !needed.every((one) => one in answer.total)) return null; // the answer to what was asked before
  if (METRICS[name].isRate) return ofRate(answer, METRICS[name].key);
  return by === "class" ? byClass(answer, needed) : byDimension(answer, needed);
}

function By({ chosen, canClass }) {
  const dimensions = useDimensions().filter((one) => one.values !== 0 && one.requests !== 0);
  const link = (name, label) => html`<a key=${name} href=${hrefWith({ group_by: name === "model" ? null : name })} aria-current=${name === chosen ? "true" : undefined}>${label}</a>`;
  return html`<${Menu} label=${chosen === "total" ? "Not stacked" : `Stacked by ${words(chosen).toLowerCase() === "class" ? "class" : words(chosen)}`} name="Stacked by" align="right">
    ${link("total", "Not stacked")}${canClass ? link("class", "Class of tokens") : null}
    <hr />
    ${dimensions.map((one) => link(one.name, words(one.name)))}
  <//>`;
}
