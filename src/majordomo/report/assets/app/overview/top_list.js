// The foremost values of one dimension, as rows that filter by them; tabs choose the dimension.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { useDimensions, words } from "../dimensions.js";
import { filterFor, isOn, toggled } from "../filters.js";
import { count, exactMoney, money } from "../format.js";
import { asking, hrefWith } from "../state.js";
import { Bars } from "../parts/bars.js";
import { Change } from "../parts/change.js";
import { Empty } from "../parts/empty.js";
import { Panel } from "../parts/panel.js";
import { Tabs } from "../parts/tabs.js";

const MOST_TABS = 5;

// `name`: of the query's parameter that has the chosen tab. `of`: dimensions; `metadata`: and the active metadata keys.
export function TopList({ query, name, of, metadata = false }) {
  const keys = useDimensions().filter((one) => metadata && one.is_metadata);
  const active = keys.filter((one) => one.is_active);
  const names = [...of, ...(active.length ? active : keys).slice(0, MOST_TABS - of.length).map((one) => one.name)];
  const chosen = query.get(name) || names[0];
  if (!names.includes(chosen)) names.push(chosen);
  const asked = useAnswer("/usage/breakdown", asking(query, { group_by: chosen, limit: 9, compare: "previous" }));
  const tabs = html`<${Tabs} label="Grouped by" chosen=${chosen} choices=${names.map((one) => ({ name: one, label: words(one), href: hrefWith({ [name]: one === names[0] ? null : one }) }))} />`;
  return html`<${Panel} title=${tabs} label=${`By ${words(chosen)}`} asked=${asked}>
    ${(answer) => (answer.rows.length ? list(query, chosen, answer) : html`<${Empty} title="Nothing in this period" />`)}
  <//>`;
}

function list(query, dimension, answer) {
  const most = Math.max(...answer.rows.map((row) => Number(row.usage.total_cost)), Number(answer.rest?.usage.total_cost ?? 0));
  const row = (one) => ({
    share: most ? Number(one.usage.total_cost) / most : 0,
    figure: one.usage.cost_unknown ? "unknown" : money(one.usage.total_cost),
    title: `${exactMoney(one.usage.total_cost)}, ${count(one.usage.requests)} requests`,
    change: html`<${Change} now=${one.usage.total_cost} before=${one.previous?.total_cost} />`,
  });
  const rows = answer.rows.map((one) => {
    const filter = filterFor(dimension, one.value);
    return {
      ...row(one),
      key: one.value ?? "(none)",
      label: one.value === null ? "(none)" : one.value === "" ? "(empty)" : (one.label ?? one.value),
      isNone: one.value === null,
      href: toggled(filter),
      on: isOn(query, filter),
    };
  });
  const rest = answer.rest ? { ...row(answer.rest), label: `${count(answer.rest.values)} more` } : null;
  return html`<${Bars} label=${`By ${words(dimension)}`} heads=${[words(dimension), "Spend"]} rows=${rows} rest=${rest} />`;
}
