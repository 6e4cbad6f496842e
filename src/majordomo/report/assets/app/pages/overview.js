// What was spent, on what, and how that moved against the time before.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { count } from "../format.js";
import { useLiveRefresh } from "../live.js";
import { asking, hrefTo, hrefWith } from "../state.js";
import { Asked } from "../parts/asked.js";
import { Download } from "../parts/download.js";
import { Empty } from "../parts/empty.js";
import { LiveMark } from "../parts/live_mark.js";
import { Panel } from "../parts/panel.js";
import { ChartPanel } from "../overview/chart_panel.js";
import { Classes } from "../overview/classes.js";
import { Figures } from "../overview/figures.js";
import { FirstSteps } from "../overview/first_steps.js";
import { Errors, Latency } from "../overview/health.js";
import { TopList } from "../overview/top_list.js";

// As far back as the API takes a question.
const EVER = { period: null, from: "2017-01-01", to: null };

export default function Overview({ query, session }) {
  const open = useLiveRefresh(query);
  const summary = useAnswer("/usage/summary", asking(query, { compare: "previous" }));
  const latency = useAnswer("/usage/latency", asking(query, { granularity: query.get("granularity") }));
  const earlier = useEarlierLatency(query, summary.answer);
  const isNothing = summary.answer && !summary.answer.usage.requests && !summary.loading;
  const isUnfiltered = !query.has("filter");
  const ever = useAnswer(isNothing && isUnfiltered ? "/usage/requests" : null, new URLSearchParams({ from: EVER.from, limit: 1 }));
  if (isNothing && ever.answer && !ever.answer.requests.length) return html`<${Asked} title="Overview" query=${query} plain /><${FirstSteps} session=${session} />`;
  return html`
    <${Asked} title="Overview" query=${query}><${LiveMark} query=${query} open=${open} /><${Download} query=${query} by=${listed(query)} /><//>
    ${isNothing && (ever.answer || !isUnfiltered) ? html`<${Nothing} isUnfiltered=${isUnfiltered} />` : contents(query, summary, latency, earlier)}
  `;
}

// The dimensions that the address names; the model if it names none.
function listed(query) {
  const named = ["left", "right", "group_by"].map((name) => query.get(name)).filter((one) => one && one !== "total" && one !== "class");
  return [...new Set(named.length ? named : ["model"])];
}

function contents(query, summary, latency, earlier) {
  return html`<div class="grid">
    <${Figures} query=${query} summary=${summary} latency=${latency} earlier=${earlier}><${ChartPanel} query=${query} latency=${latency} /><//>
    <${Caveats} answer=${summary.answer} />
    <${TopList} query=${query} name="left" of=${["model", "provider", "key", "status", "client", "query_class", "session", "run"]} />
    <${TopList} query=${query} name="right" of=${[]} metadata />
    <div class="stack"><${Classes} query=${query} summary=${summary} /><${Latency} latency=${latency} /></div>
    <${Errors} query=${query} />
  </div>`;
}

// The percentiles of the time before: its ends are what the summary says they are.
function useEarlierLatency(query, answer) {
  const before = answer?.previous?.period;
  const params = before ? asking(query, { period: null, from: before.from, to: before.to, granularity: "month" }) : undefined;
  return useAnswer(before ? "/usage/latency" : null, params);
}

// What the figures do not hold.
function Caveats({ answer }) {
  if (!answer) return null;
  const { usage, estimated, lost } = answer;
  const told = [
    usage.unpriced ? html`<a href=${hrefTo("/requests", { unpriced: "true" })}>${count(usage.unpriced)} requests have no known price</a> and are not in the spend` : null,
    estimated ? `${count(estimated)} ${estimated === 1 ? "request has" : "requests have"} counts of the gateway's own` : null,
    lost ? html`<a href=${hrefTo("/requests", { filter: "outcome:lost" })}>of ${count(lost)} the end is not known</a>` : null,
  ].filter(Boolean);
  return told.length ? html`<p class="caveats whole">${told.map((one, place) => html`${place ? "; " : ""}${one}`)}.</p>` : null;
}

function Nothing({ isUnfiltered }) {
  return html`<${Panel}><${Empty} title=${isUnfiltered ? "No request in this period" : "No request passes these filters in this period"}>
    <p><a href=${hrefWith({ period: "90d", from: null, to: null })}>Look at the last 90 days</a>${isUnfiltered ? null : html` or <a href=${hrefWith({ filter: null })}>take the filters away</a>`}</p>
  <//><//>`;
}
