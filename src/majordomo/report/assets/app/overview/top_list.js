// The foremost values of one dimension by the chosen metric, as rows that filter by them; tabs choose the dimension.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { useDimensions, words } from "../dimensions.js";
import { filterFor, isOn, toggled } from "../filters.js";
import { count, exactMoney } from "../format.js";
import { asking, hrefWith } from "../state.js";
import { Bars } from "../parts/bars.js";
import { Change } from "../parts/change.js";
import { Empty } from "../parts/empty.js";
import { Menu } from "../parts/menu.js";
import { Panel } from "../parts/panel.js";
import { Tabs } from "../parts/tabs.js";
import { METRICS, chosenMetric, valueOf } from "./metrics.js";

const MOST_TABS = 4;
const SHOWN = 8;
const ALL = 200;

// `name`: of the query's parameter that has the chosen tab. `of`: dimensions; `metadata`: and metadata keys, active first.
export function TopList(props) {
  const dimensions = useDimensions();
  if (props.of.length || dimensions.some((one) => one.is_metadata)) return html`<${List} ...${props} dimensions=${dimensions} />`;
  return html`<${Panel} title="Metadata">${dimensions.length ? html`<${Empty} title="No request has carried metadata yet"><p>Send a header such as <code>X-Majordomo-Team: legal</code>, and it can be sliced by here.</p><//>` : html`<div class="hold" />`}<//>`;
}

function List({ query, name, of, metadata = false, dimensions }) {
  const keys = metadata ? dimensions.filter((one) => one.is_metadata) : [];
  const all = [...of, ...keys.map((one) => one.name)];
  const chosen = query.get(name) || (metadata && keys.some((one) => one.is_active) ? keys[0].name : all[0]);
  const tabs = all.slice(0, MOST_TABS);
  if (!tabs.includes(chosen)) tabs.push(chosen);
  const metric = chosenMetric(query);
  const limit = query.get("all") === name ? ALL : SHOWN;
  const isLatency = metric === "latency";
  const asked = useAnswer(
    isLatency ? "/usage/latency" : "/usage/breakdown",
    isLatency
      ? asking(query, { group_by: chosen, limit: Math.min(limit, 50) })
      : asking(query, { group_by: chosen, limit, sort: METRICS[metric].sort, compare: "previous" }),
  );
  const choice = (one) => ({ name: one, label: words(one), href: hrefWith({ [name]: one, all: null }) });
  const others = all.filter((one) => !tabs.includes(one));
  const heading = html`<div class="tab-line">
    <${Tabs} label=${`Grouped by, ${name} list`} chosen=${chosen} choices=${tabs.map(choice)} />
    ${others.length ? html`<${Menu} className="more" label="More" name="More dimensions" align="right">${others.map((one) => html`<a key=${one} href=${choice(one).href}>${words(one)}</a>`)}<//>` : null}
  </div>`;
  return html`<${Panel} title=${heading} label=${`By ${words(chosen)}`} asked=${asked}>
    ${(answer) => (isLatency ? latencyList(query, chosen, answer) : usageList(query, chosen, metric, answer, { name, limit }))}
  <//>`;
}

function labelled(query, dimension, one) {
  const filter = filterFor(dimension, one.value);
  return {
    key: one.value ?? "(none)",
    label: one.value === null ? "(none)" : one.value === "" ? "(empty)" : (one.label ?? one.value),
    isNone: one.value === null,
    href: toggled(filter),
    on: isOn(query, filter),
  };
}

function usageList(query, dimension, metric, answer, { name, limit }) {
  if (!answer.rows?.length) return html`<${Empty} title="Nothing in this period" />`;
  const { label, listed, title, good, isRate } = METRICS[metric];
  const size = (usage) => Number(valueOf(metric, usage) ?? 0);
  const most = isRate ? 1 : Math.max(...answer.rows.map((one) => size(one.usage)), answer.rest ? size(answer.rest.usage) : 0);
  const row = ({ usage, previous }) => {
    const unknown = metric === "total_cost" && usage.cost_unknown;
    return {
      share: most ? size(usage) / most : 0,
      figure: unknown ? "unknown" : listed(valueOf(metric, usage)),
      title: unknown ? "no price is known" : `${title(valueOf(metric, usage))} · ${exactMoney(usage.total_cost)} · ${count(usage.requests)} requests`,
      change: html`<${Change} now=${valueOf(metric, usage)} before=${previous ? valueOf(metric, previous) : 0} goodWhen=${good} />`,
    };
  };
  const rest = answer.rest ? { ...row(answer.rest), label: `${count(answer.rest.values)} more` } : null;
  return html`
    <${Bars} label=${`By ${words(dimension)}`} heads=${[words(dimension), label]} rows=${answer.rows.map((one) => ({ ...labelled(query, dimension, one), ...row(one) }))} rest=${rest} />
    ${rest && limit < ALL ? html`<p class="list-foot"><a href=${hrefWith({ all: name })}>Show more</a></p>` : null}
    ${limit === ALL ? html`<p class="list-foot"><a href=${hrefWith({ all: null })}>Show fewer</a></p>` : null}`;
}

function latencyList(query, dimension, answer) {
  if (!answer.rows?.length) return html`<${Empty} title="Nothing in this period" />`;
  const { exact, label } = METRICS.latency;
  const most = Math.max(...answer.rows.map((one) => one.response.p95 ?? 0));
  const row = (one) => ({
    share: most ? (one.response.p95 ?? 0) / most : 0,
    figure: exact(one.response.p95),
    title: `median ${exact(one.response.p50)}, p99 ${exact(one.response.p99)}, first byte p95 ${exact(one.first_byte.p95)}`,
    change: html`<span class="change">${count(one.response.requests)}</span>`,
  });
  const shown = answer.rows.filter((one) => !one.is_rest);
  const rest = answer.rows.find((one) => one.is_rest);
  return html`<${Bars} label=${`Latency by ${words(dimension)}`} heads=${[words(dimension), `${label}, and requests`]} rows=${shown.map((one) => ({ ...labelled(query, dimension, one), ...row(one) }))} rest=${rest ? { ...row(rest), label: "The rest" } : null} />`;
}
