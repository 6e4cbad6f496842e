// A chart over time by uPlot: stacked bars or lines, one place on the x axis for each bucket. Hovering tells the figures;
// dragging chooses the buckets between. What it shows is also a table, for whoever cannot see it: parts/trend.js.
import { html, useEffect, useRef, useState } from "../ui.js";

const HEIGHT = 260;
const STEPS = [1, 2, 3, 4, 6, 7, 12, 14, 24, 28, 48, 72, 96, 168, 336];

let library = null;

// uPlot is a classic script that puts itself on `window`; it is fetched when the first chart is drawn.
function uplot() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("../../vendor/uplot/uPlot.iife.min.js", import.meta.url).href;
    script.onload = () => resolve(window.uPlot);
    script.onerror = reject;
    document.head.append(script);
  });
  return library;
}

// `series`: [{ key, label, colour: "s1", values: [number | null], dashed? }], the lowest of the stack first.
// `kind`: "bars" (stacked) or "lines". `places`: the words under the x axis, one for each bucket.
// `format(number)`: the y axis. `tip(place)`: nodes shown while a bucket is hovered. `onRange(first, last)`: dragged over.
export function Chart({ series, kind, places, format, tip, onRange, label }) {
  const root = useRef(null);
  const [hovered, hover] = useState(null);
  const [theme, turned] = useState(0);
  const told = useRef({});
  told.current = { format, places, onRange };
  useEffect(() => onTheme(() => turned((count) => count + 1)), []);
  const shape = JSON.stringify([series.map(({ key, colour, values, dashed }) => [key, colour, values, dashed]), kind, places]);
  useEffect(() => {
    let chart = null;
    let gone = false;
    uplot().then((Plot) => {
      if (gone) return;
      root.current.replaceChildren();
      chart = new Plot(options(Plot, { series, kind, told, hover, width: root.current.clientWidth }), data(series, kind), root.current);
    });
    const watch = new ResizeObserver(() => chart?.setSize({ width: root.current.clientWidth, height: HEIGHT }));
    watch.observe(root.current);
    return () => {
      gone = true;
      watch.disconnect();
      chart?.destroy();
      hover(null);
    };
  }, [shape, theme]);
  return html`<div class="chart" role="img" aria-label=${label}>
    <div class="plot" ref=${root} />
    ${hovered ? html`<div class=${`tip${hovered.right ? " leftwards" : ""}`} style=${{ left: `${hovered.left}px`, top: `${hovered.top}px` }}>${tip(hovered.place)}</div>` : null}
  </div>`;
}

function onTheme(changed) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  addEventListener("themechange", changed);
  system.addEventListener("change", changed);
  return () => {
    removeEventListener("themechange", changed);
    system.removeEventListener("change", changed);
  };
}

// Bars are drawn from the top of the stack down, each from zero to its sum with those below.
function data(series, kind) {
  const count = series[0]?.values.length ?? 0;
  const places = Array.from({ length: count }, (_, place) => place);
  if (kind === "lines") return [places, ...series.map((one) => one.values)];
  const sums = new Array(count).fill(0);
  const stacked = series.filter((one) => !one.dashed).map((one) => one.values.map((value, place) => (value ? (sums[place] += value) : null)));
  return [places, ...stacked.reverse(), ...series.filter((one) => one.dashed).map((one) => one.values)];
}

function options(Plot, { series, kind, told, hover, width }) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: colour("quiet"), font, ticks: { show: false } };
  const line = (one) => ({ stroke: colour(one.colour), width: one.dashed ? 1.5 : 2, dash: one.dashed ? [4, 4] : undefined, points: { show: one.values.length < 2 } });
  const bar = (one) => ({ fill: colour(one.colour), stroke: colour("sheet"), width: 1, points: { show: false }, paths: Plot.paths.bars({ size: [0.82, 56] }) });
  const solid = series.filter((one) => !one.dashed);
  const dashed = series.filter((one) => one.dashed);
  const drawn = kind === "lines" ? series.map(line) : [...solid.map(bar).reverse(), ...dashed.map(line)];
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    padding: [12, 8, 0, 0],
    scales: {
      x: { time: false, range: (_, least, most) => [least - 0.5, most + 0.5] },
      y: { range: (_, least, most) => [0, most > 0 ? most * 1.06 : 1] },
    },
    axes: [
      { ...axis, grid: { show: false }, incrs: STEPS, space: 64, size: 28, values: (_, splits) => splits.map((place) => told.current.places[place] ?? "") },
      { ...axis, grid: { stroke: colour("line"), width: 1 }, size: 62, space: 44, values: (_, splits) => splits.map((value) => told.current.format(value)) },
    ],
    cursor: { y: false, points: { show: kind === "lines" }, drag: { x: true, y: false, setScale: false } },
    series: [{}, ...drawn],
    hooks: { setCursor: [(plot) => hover(placeOf(plot))], setSelect: [(plot) => select(plot, told)] },
  };
}

function placeOf(plot) {
  const { idx, left } = plot.cursor;
  if (idx === null || idx === undefined || left < 0) return null;
  const middle = plot.valToPos(idx, "x") + plot.bbox.left / devicePixelRatio;
  const right = middle > plot.width / 2;
  return { place: idx, left: right ? middle - 12 : middle + 12, top: 8, right };
}

function select(plot, told) {
  const { left, width } = plot.select;
  if (width < 12) return;
  const at = (pixel) => Math.round(plot.posToVal(pixel, "x"));
  const last = told.current.places.length - 1;
  plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  told.current.onRange?.(Math.max(0, at(left)), Math.min(last, at(left + width)));
}
