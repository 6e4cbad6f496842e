// Figures over time: as a chart, with a legend whose entries filter, or as a table of the same.
import { html } from "../ui.js";
import { bucket, longBucket } from "../format.js";
import { change } from "../state.js";
import { Chart } from "./chart.js";
import { Table } from "./table.js";

// `buckets`: ISO times; `end`: of the last; `series`: as Chart's, besides `href` and `on`; `sum`: a row for the total.
// `asTable`: the table instead. `format`: short, for the axis; `exact`: for tip and table.
export function Trend({ buckets, end, granularity, zone, series, kind, format, exact, sum, asTable, label }) {
  const solid = series.filter((one) => !one.dashed);
  if (asTable) return html`<${Figures} ...${{ buckets, granularity, zone, series, exact, sum, label }} />`;
  const tip = (place) => html`
    <p class="tip-head">${longBucket(buckets[place], granularity, zone)}</p>
    <table>
      ${[...solid].reverse().filter((one) => one.values[place]).map((one) => html`<tr key=${one.key}><th scope="row">${swatch(one)}${one.label}</th><td class="number">${exact(one.values[place])}</td></tr>`)}
      ${sum ? html`<tr class="sum"><th scope="row">Total</th><td class="number">${exact(sum(place))}</td></tr>` : null}
      ${series.filter((one) => one.dashed).map((one) => html`<tr key=${one.key} class="before"><th scope="row">${one.label}</th><td class="number">${exact(one.values[place] ?? 0)}</td></tr>`)}
    </table>`;
  const range = (first, last) => change({ period: null, from: localText(buckets[first], zone), to: localText(buckets[last + 1] ?? end, zone), cursor: null });
  return html`
    <${Chart} series=${series} kind=${kind} format=${format} tip=${tip} onRange=${range} label=${label} places=${buckets.map((at) => bucket(at, granularity, zone))} />
    ${series.length > 1 ? html`<ul class="legend" aria-label="Legend">${series.map((one) => html`<li key=${one.key}>${entry(one)}</li>`)}</ul>` : null}`;
}

function swatch(one) {
  return html`<svg class="swatch" viewBox="0 0 10 10" aria-hidden="true">${one.dashed
    ? html`<path d="M0 5h4m2 0h4" class=${`line-${one.colour}`} />`
    : html`<rect width="10" height="10" rx="2" class=${`fill-${one.colour}`} />`}</svg>`;
}

function entry(one) {
  const inside = html`${swatch(one)}<span class=${one.isNone ? "none" : ""}>${one.label}</span>`;
  return one.href ? html`<a href=${one.href} aria-current=${one.on ? "true" : undefined}>${inside}</a>` : html`<span>${inside}</span>`;
}

function Figures({ buckets, granularity, zone, series, exact, sum, label }) {
  const columns = [
    { key: "at", label: "Time", render: (place) => longBucket(buckets[place], granularity, zone) },
    ...series.map((one) => ({ key: one.key, label: one.label, number: true, render: (place) => exact(one.values[place] ?? 0) })),
  ];
  if (sum) columns.splice(1, 0, { key: "sum", label: "Total", number: true, render: (place) => exact(sum(place)) });
  return html`<div class="tall"><${Table} caption=${label} columns=${columns} rows=${buckets.map((_, place) => place).reverse()} keyOf=${(place) => place} /></div>`;
}

// An instant as the clock of `zone` shows it, in the API's words: "2026-11-21" at midnight, else "2026-11-21T14:00".
function localText(at, zone) {
  const parts = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "short" }).format(new Date(at));
  return parts.replace(" 00:00", "").replace(" ", "T");
}
