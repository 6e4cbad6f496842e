// Answers of the API as series of a chart. Floats are good enough here: the exact figures are in the lists and titles.
import { filterFor, isOn, toggled } from "../filters.js";
import { here } from "../router.js";

export const CLASS_WORDS = {
  input_cost: "Input",
  cache_read_cost: "Cache read",
  cache_creation_cost: "Cache write",
  output_cost: "Output",
  tool_cost: "Tools",
  uncached_tokens: "Input",
  cached_tokens: "Cache read",
  cache_creation_tokens: "Cache write",
  output_tokens: "Output",
};

// The sum of some metrics, bucket by bucket.
function added(points, metrics) {
  return points[metrics[0]].map((_, place) => metrics.reduce((sum, metric) => sum + Number(points[metric][place] ?? 0), 0));
}

// The time before as a dashed line, on the buckets of now; nothing where there was nothing.
function before(answer, metrics) {
  if (!answer.previous_total) return [];
  const values = added(answer.previous_total, metrics).slice(0, answer.buckets.length);
  return values.some(Boolean) ? [{ key: "before", label: "Time before", colour: "quiet", values, dashed: true }] : [];
}

export function byDimension(answer, metrics) {
  const dimension = answer.group_by;
  const total = added(answer.total, metrics);
  const sum = (place) => total[place];
  if (!dimension) {
    const whole = { key: "total", label: "In all", colour: "s1", values: total };
    return { kind: "bars", series: [whole, ...before(answer, metrics)], sum: null };
  }
  let colour = 0;
  const series = answer.series.map((one) => {
    const filter = one.is_rest ? null : filterFor(dimension, one.value);
    const isNone = !one.is_rest && one.value === null;
    return {
      key: one.is_rest ? "rest" : (one.value ?? "(none)"),
      label: one.is_rest ? "The rest" : isNone ? "(none)" : one.label ?? (one.value === "" ? "(empty)" : one.value),
      colour: one.is_rest ? "s-rest" : isNone ? "s-none" : `s${(colour++ % 8) + 1}`,
      values: added(one.points, metrics),
      isNone,
      href: filter === null ? undefined : toggled(filter),
      on: filter !== null && isOn(here().query, filter),
    };
  });
  return { kind: "bars", series: [...series, ...before(answer, metrics)], sum };
}

export function byClass(answer, metrics) {
  const total = added(answer.total, metrics);
  const series = metrics
    .map((metric, place) => ({ key: metric, label: CLASS_WORDS[metric], colour: `s${place + 1}`, values: added(answer.total, [metric]) }))
    .filter((one) => one.values.some(Boolean));
  return { kind: "bars", series: [...series, ...before(answer, metrics)], sum: (place) => total[place] };
}

export function ofRate(answer, metric) {
  const values = answer.total[metric];
  const series = [{ key: metric, label: "Now", colour: "s1", values }];
  const earlier = answer.previous_total?.[metric].slice(0, values.length);
  if (earlier?.some((value) => value !== null)) series.push({ key: "before", label: "Time before", colour: "quiet", values: earlier, dashed: true });
  return { kind: "lines", series, sum: null };
}

export function ofLatency(answer) {
  const line = (key, label, colour, of) => ({ key, label, colour, values: answer.points.map(of) });
  return {
    kind: "lines",
    series: [
      line("p50", "Response, median", "s1", (point) => point.response.p50),
      line("p95", "Response, p95", "s2", (point) => point.response.p95),
      line("first", "First byte, p95", "s3", (point) => point.first_byte.p95),
    ],
    sum: null,
  };
}
