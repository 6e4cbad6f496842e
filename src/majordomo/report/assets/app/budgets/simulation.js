// A limit tried out against the past: whom it would have refused.
import { html, useState } from "../ui.js";
import { send } from "../api.js";
import { count, longMoment } from "../format.js";
import { zoneOf } from "../state.js";
import { Facts } from "../parts/facts.js";
import { Field } from "../parts/field.js";
import { useForm } from "../parts/form.js";
import { Panel } from "../parts/panel.js";
import { Problem } from "../parts/problem.js";
import { amount } from "./words.js";

const DAYS_BACK = 30;
const DAY_MS = 86_400_000;

export function Simulation({ it, query }) {
  const [came, set] = useState(null);
  const ask = ({ limit, days }) => {
    const until = new Date();
    const since = new Date(until - Number(days ?? DAYS_BACK) * DAY_MS);
    return send("POST", "/budgets/simulate", { budget: it.id, limit, since: since.toISOString(), until: until.toISOString() });
  };
  const { error, waiting, submit } = useForm(ask, set);
  return html`<${Panel} title="What another limit would have done" className="whole">
    <form class="inline-form" onSubmit=${submit}>
      <${Field} id="try-limit" name="limit" label=${`Limit (${it.unit === "usd" ? "USD" : it.unit})`} required inputmode="decimal" value=${it.base_limit} />
      <${Field} id="try-days" name="days" label="Over the last days" type="number" min="1" max="366" value=${DAYS_BACK} />
      <button type="submit" disabled=${waiting}>${waiting ? "Replaying …" : "Replay"}</button>
    </form>
    ${error ? html`<${Problem} error=${error} />` : null}
    ${came ? html`<${Result} came=${came} unit=${it.unit} zone=${zoneOf(query)} />` : null}
  <//>`;
}

function Result({ came, unit, zone }) {
  const first = came.first_refused[0];
  return html`<${Facts} facts=${[
    ["Requests in that time", `${count(came.requests)}, ${amount(came.used, unit)}`],
    ["Refused", came.refused ? html`<b>${count(came.refused)}</b>, ${amount(came.refused_used, unit)}` : "none"],
    ["Windows that were spent", `${count(came.windows_exhausted)} of ${count(came.windows)}`],
    ["The fullest window", amount(came.highest, unit)],
    ["First refused", first ? longMoment(first.requested_at, zone) : null],
  ]} />`;
}
