// Over all budgets: who is near a limit, and whom they refused.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { count, longMoment } from "../format.js";
import { hrefTo } from "../state.js";
import { Panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";
import { Meter } from "./meter.js";
import { amount, percentUsed, state, windowWords } from "./words.js";

const MOST_SHOWN = 12;

const more = (rows) => (rows.length > MOST_SHOWN ? html`<p class="quiet">And ${count(rows.length - MOST_SHOWN)} more.</p>` : null);

export function Near({ zone }) {
  const asked = useAnswer("/budgets/near");
  return html`<${Panel} title="Near a limit" asked=${asked}>${({ near }) => html`
    <${Table} caption="Near a limit, the fullest first" rows=${near.slice(0, MOST_SHOWN)} keyOf=${(one) => `${one.budget_id} ${one.value}`} href=${(one) => hrefTo(`/budgets/${one.budget_id}`)} empty=${html`<p class="quiet">Nobody has spent 80% of a limit.</p>`} columns=${[
      { key: "who", label: "Who", wide: true, render: (one) => html`${one.value || one.budget}${one.value ? html`<br /><span class="quiet">${one.budget}, ${windowWords({ ...one, time_zone: "UTC" })}</span>` : null}` },
      { key: "used", label: "Used", render: (one) => html`<${Meter} percent=${percentUsed(one)} state=${state(one)} />` },
      { key: "left", label: "Left", number: true, minor: true, render: (one) => amount(one.remaining, one.unit) },
      { key: "out", label: "Gone at this rate", minor: true, render: (one) => (one.runs_out_at ? longMoment(one.runs_out_at, zone) : "–") },
    ]} />${more(near)}`}
  <//>`;
}

export function Refused({ zone }) {
  const asked = useAnswer("/budgets/refusals");
  return html`<${Panel} title="Refused in the last week" asked=${asked}>${({ refusals }) => html`
    <${Table} caption="Refused, most first" rows=${refusals.slice(0, MOST_SHOWN)} keyOf=${(one) => `${one.budget} ${one.api_key_id} ${one.value} ${one.code}`} empty=${html`<p class="quiet">Nothing.</p>`} columns=${[
      { key: "who", label: "Gateway key", wide: true, render: (one) => html`${one.who}<br /><span class="quiet">${one.budget}${one.value ? `: ${one.value}` : ""}</span>` },
      { key: "why", label: "Why", minor: true, render: (one) => one.code.replaceAll("_", " ") },
      { key: "count", label: "Requests", number: true, render: (one) => count(one.requests) },
      { key: "last", label: "Last", minor: true, render: (one) => longMoment(one.latest, zone) },
    ]} />${more(refusals)}`}
  <//>`;
}
