// One budget: how it stands, whom it refused, every change to it, and what an admin may do with it.
import { html, useState } from "../ui.js";
import { forget, send, useAnswer } from "../api.js";
import { count, longMoment } from "../format.js";
import { go } from "../router.js";
import { isAdmin } from "../session.js";
import { hrefTo, zoneOf } from "../state.js";
import { Asked } from "../parts/asked.js";
import { Empty } from "../parts/empty.js";
import { Facts } from "../parts/facts.js";
import { Panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";
import { toast } from "../parts/toast.js";
import { Doing } from "../budgets/doing.js";
import { Meter } from "../budgets/meter.js";
import { Simulation } from "../budgets/simulation.js";
import { amount, percentUsed, scopeParts, state, windowWords } from "../budgets/words.js";

const MOST_ALERTS = 10;

export default function BudgetPage({ query, params, session }) {
  const path = `/budgets/${encodeURIComponent(params.id)}`;
  const asked = useAnswer(path);
  const sight = useAnswer(`${path}/history`);
  const keys = useAnswer("/keys", new URLSearchParams({ limit: 1000 })).answer?.keys ?? [];
  const [doing, set] = useState(null);
  const one = asked.answer && [asked.answer.id, asked.answer.name].includes(params.id) ? asked.answer : null;
  const done = (words, gone = false) => () => {
    forget();
    toast(words);
    set(null);
    if (gone) return go(hrefTo("/budgets"), { replace: true });
    asked.reload();
    return sight.reload();
  };
  const button = (what, words, kind = "") => html`<button type="button" class=${kind} onClick=${() => set(what)}>${words}</button>`;
  const zone = zoneOf(query);
  return html`
    <p class="way"><a href=${hrefTo("/budgets")}>Budgets</a> <span aria-hidden="true">/</span> <code>${one?.name ?? params.id}</code></p>
    ${one ? html`<${Asked} title=${one.name} query=${query} plain>
      ${isAdmin(session) ? html`${button("raise", "Raise")}${button("change", "Change")}${button(one.paused ? "resume" : "pause", one.paused ? "Resume" : "Pause")}${button("delete", "Delete", "danger")}` : null}
    <//>
    <div class="grid">
      <${Stands} it=${one} zone=${zone} />
      <${About} it=${one} keys=${keys} />
      <${Counts} it=${one} keys=${keys} zone=${zone} />
      <${Panel} title="Whom it refused in the last week" asked=${sight}>${({ refusals }) => html`<${Refusals} rows=${refusals} zone=${zone} />`}<//>
      <${Panel} title="Thresholds that were reached" asked=${sight}>${({ alerts }) => html`<${Alerts} rows=${alerts} unit=${one.unit} zone=${zone} />`}<//>
      <${Simulation} it=${one} query=${query} />
      <${Panel} title="History" className="whole" asked=${sight}>${({ history }) => html`<${History} rows=${history} zone=${zone} />`}<//>
    </div>` : html`<${Panel} label="Budget" asked=${asked} />`}
    ${one && doing ? html`<${Doing} what=${doing} it=${one} path=${path} keys=${keys} onClose=${() => set(null)} done=${done} />` : null}
  `;
}

function Stands({ it, zone }) {
  const fullest = it.counts[0];
  const rate = fullest?.rate_per_hour;
  return html`<${Panel} title=${it.each || it.window === "session" ? "The fullest" : "How it stands"}>
    <p class="stands"><b title=${it.spent}>${amount(it.spent, it.unit)}</b> of <span title=${it.limit}>${amount(it.limit, it.unit)}</span> ${windowWords(it)}</p>
    <${Meter} percent=${percentUsed(it)} state=${state(it)} />
    <${Facts} facts=${[
      ["Left", amount(it.remaining, it.unit)],
      ["Set apart for requests under way", amount(it.reserved, it.unit)],
      ["Starts anew", it.resets_at ? longMoment(it.resets_at, zone) : "never"],
      ["In the last hour", rate ? `${amount(rate, it.unit)} an hour` : "nothing"],
      ["Gone at that rate", it.runs_out_at ? longMoment(it.runs_out_at, zone) : "not before it starts anew"],
      ...it.raises.map((one) => ["Raised", `by ${amount(one.amount, it.unit)} until ${longMoment(one.until, zone)}: ${one.reason}`]),
    ]} />
  <//>`;
}

function About({ it, keys }) {
  const nameOfKey = (id) => keys.find((key) => key.id === id)?.name ?? id;
  const scope = scopeParts(it, nameOfKey);
  return html`<${Panel} title="What it is">
    <${Facts} facts=${[
      ...(scope.length ? scope.map(([what, value]) => [what === "each" ? "A limit for each" : `Only ${what}`, value]) : [["About", "everything of the organisation"]]),
      ["Mode", it.mode === "strict" ? "strict: the worst case is set apart" : "balanced: the likely cost is set apart"],
      ["When it is spent", it.action === "warn" ? "only warns" : "refuses"],
      ["A model without a price", it.on_unpriced],
      ["While the database is away", it.fail === "closed" ? "refuses" : "lets pass"],
      ["Tells at", it.warn_at.length ? it.warn_at.map((one) => `${one}%`).join(", ") : null],
      ["Whom to ask", it.contact],
    ]} />
  <//>`;
}

function Counts({ it, keys, zone }) {
  if (!it.each && it.window !== "session") return null;
  const shown = (value) => keys.find((key) => key.id.replaceAll("-", "") === value.replaceAll("-", ""))?.name ?? value;
  return html`<${Panel} title=${`Who is near the limit: ${count(it.counts.length)} of ${count(it.number_of_counts)}`} className="whole">
    <${Table} caption="Counts, the fullest first" rows=${it.counts} keyOf=${(one) => one.value} empty=${html`<${Empty} title="Nothing has been counted in this window" />`} columns=${[
      { key: "value", label: it.each ?? "Session", wide: true, render: (one) => (one.value === "" ? html`<span class="none">(none)</span>` : shown(one.value)) },
      { key: "used", label: "Used", render: (one) => html`<${Meter} percent=${percentUsed(one)} state=${state(one)} />` },
      { key: "spent", label: "Spent", number: true, render: (one) => html`<span title=${one.spent}>${amount(one.spent, it.unit)}</span>` },
      { key: "left", label: "Left", number: true, minor: true, render: (one) => amount(one.remaining, it.unit) },
      { key: "requests", label: "Requests", number: true, minor: true, render: (one) => count(one.requests) },
      { key: "out", label: "Gone at this rate", minor: true, render: (one) => (one.runs_out_at ? longMoment(one.runs_out_at, zone) : "–") },
    ]} />
  <//>`;
}

function Refusals({ rows, zone }) {
  return html`<${Table} caption="Refusals" rows=${rows} keyOf=${(one) => one.api_key_id} empty=${html`<p class="quiet">Nobody.</p>`} columns=${[
    { key: "who", label: "Gateway key", wide: true, render: (one) => one.who },
    { key: "count", label: "Requests", number: true, render: (one) => count(one.requests) },
    { key: "last", label: "Last", render: (one) => longMoment(one.latest, zone) },
  ]} />`;
}

function Alerts({ rows, unit, zone }) {
  const more = rows.length - MOST_ALERTS;
  return html`<${Table} caption="Alerts" rows=${rows.slice(0, MOST_ALERTS)} keyOf=${(one) => `${one.created_at} ${one.value} ${one.threshold}`} empty=${html`<p class="quiet">None.</p>`} columns=${[
    { key: "at", label: "When", render: (one) => longMoment(one.created_at, zone) },
    { key: "threshold", label: "At", number: true, render: (one) => `${one.threshold}%` },
    { key: "spent", label: "Spent", number: true, render: (one) => amount(one.spent, unit) },
    { key: "value", label: "Of", minor: true, wide: true, render: (one) => (one.value === "" ? html`<span class="none">(none)</span>` : one.value) },
  ]} />${more > 0 ? html`<p class="quiet">And ${count(more)} before these.</p>` : null}`;
}

function History({ rows, zone }) {
  return html`<${Table} caption="History" rows=${rows} keyOf=${(one) => `${one.changed_at} ${one.what}`} empty=${html`<p class="quiet">Nothing was changed.</p>`} columns=${[
    { key: "at", label: "When", render: (one) => html`<span class="nowrap">${longMoment(one.changed_at, zone)}</span>` },
    { key: "who", label: "Who", render: (one) => one.changed_by },
    { key: "what", label: "What", wide: true, render: (one) => html`<b>${one.what}</b> ${difference(one)}` },
    { key: "why", label: "Why", wide: true, minor: true, render: (one) => one.reason ?? html`<span class="quiet">–</span>` },
  ]} />`;
}

// "limit: 5 → 10" for every field that is another now.
function difference({ old, new: now }) {
  if (!old || !now) return null;
  const text = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));
  return Object.keys(now)
    .filter((name) => name !== "revision" && text(now[name] ?? null) !== text(old[name] ?? null))
    .map((name) => html`<div class="quiet">${name}: ${text(old[name] ?? null)} → ${text(now[name] ?? null)}</div>`);
}
