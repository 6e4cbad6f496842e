// What the overview can be about. The chosen one, `metric` in the address, rules the chart and the lists.
import { count, duration, exactMoney, money, percent, short } from "../format.js";

const number = (value) => short(Math.round(Number(value) * 1e6) / 1e6);
const usd = (value) => money(typeof value === "number" ? decimal(value) : value);

// `key`: of a usage object. `fetch`: metrics of a time series that are added up. `sort`: of a breakdown.
// `axis`, `listed`, `exact`: how it is written, from short to in full. `good`: which way is better.
export const METRICS = {
  total_cost: { label: "Spend", key: "total_cost", fetch: ["total_cost"], sort: "total_cost", axis: axisUsd, exact: usd, listed: usd, title: exactMoney },
  requests: { label: "Requests", key: "requests", fetch: ["requests"], sort: "requests", axis: number, exact: count, listed: short, title: count },
  tokens: { label: "Tokens", fetch: ["prompt_tokens", "output_tokens"], sort: "prompt_tokens", axis: number, exact: count, listed: short, title: count },
  cache: { label: "Cache hit rate", key: "cache_hit_rate", fetch: ["cache_hit_rate"], sort: "prompt_tokens", axis: percentAxis, exact: percent, listed: percent, title: percent, good: "up", isRate: true },
  errors: { label: "Errors", key: "errors", fetch: ["errors"], sort: "errors", axis: number, exact: count, listed: short, title: count, good: "down" },
  latency: { label: "Latency, p95", axis: duration, exact: duration, title: duration, good: "down", isRate: true },
};

export function chosenMetric(query) {
  const name = query.get("metric");
  return Object.hasOwn(METRICS, name ?? "") ? name : "total_cost";
}

// The value of a metric in a usage object.
export function valueOf(name, usage) {
  return name === "tokens" ? usage.prompt_tokens + usage.output_tokens : usage[METRICS[name].key];
}

function axisUsd(value) {
  if (value >= 10_000) return `$${short(value)}`;
  if (value >= 100 || Number.isInteger(value)) return `$${count(value)}`;
  return value >= 0.01 ? `$${value.toFixed(2)}` : money(decimal(value));
}

function percentAxis(value) {
  return `${Math.round(value * 100)}%`;
}

// A float as decimal text; only for what a chart has added up.
function decimal(value) {
  return value.toFixed(12);
}
