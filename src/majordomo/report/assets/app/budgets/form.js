// What is said of a budget when it is made or changed.
import { html } from "../ui.js";
import { asLines, Choice, Lines, pairs } from "../parts/choice.js";
import { Field } from "../parts/field.js";
import { ownZone } from "../state.js";
import { UNIT_CHOICES } from "./words.js";

const MODES = [
  ["balanced", "Balanced: the likely cost is set apart"],
  ["strict", "Strict: the worst case is; the limit is never exceeded"],
];
const ACTIONS = [
  ["enforce", "Refuse what has no room"],
  ["warn", "Only warn"],
];
const UNPRICED = [
  ["refuse", "Refuse it"],
  ["allow", "Let it pass, uncounted"],
];
const FAIL = [
  ["open", "Let requests pass (open)"],
  ["closed", "Refuse them (closed)"],
];

// `of`: the budget that is changed; nothing for a new one. `keys`: the API's gateway keys.
export function BudgetFields({ of = {}, keys }) {
  const scope = (name) => (of[name] ?? []).join(", ");
  return html`
    <${Field} name="name" label="Name" required maxlength="100" value=${of.name ?? ""} />
    <div class="fields">
      <${Field} name="limit" label="Limit" required inputmode="decimal" value=${of.base_limit ?? ""} />
      <${Choice} name="unit" label="Unit" choices=${UNIT_CHOICES} value=${of.unit ?? "usd"} />
      <${Field} name="window" label="Window" value=${of.window ?? "month"} list="budget-windows" hint="day, week, month, rolling:24h, session, lifetime …" />
      <datalist id="budget-windows">${["hour", "day", "week", "month", "quarter", "rolling:24h", "session", "lifetime"].map((one) => html`<option value=${one} />`)}</datalist>
      <${Field} name="time_zone" label="Days by the clock of" value=${of.time_zone ?? ownZone} />
    </div>
    <${Choice} name="keys" label="Only this gateway key" value=${of.keys?.[0] ?? ""} choices=${[["", "Any"], ...keys.map((key) => [key.id, key.name])]} />
    <${Lines} name="metadata" label="Only requests with this metadata" value=${asLines(of.metadata)} hint="Team=legal, one a line" />
    <${Field} name="each" label="A limit for each value of" value=${of.each ?? ""} hint="key, session, developer, model, provider, or a metadata key such as User-Id: each value has the whole limit." />
    <details open=${Boolean(scope("models") || scope("providers"))}>
      <summary>More: models, mode, warnings, failures</summary>
      <div class="fields">
        <${Field} name="models" label="Only these models" value=${scope("models")} hint="gpt-5*, claude-opus-4-5; with commas" />
        <${Field} name="providers" label="Only these providers" value=${scope("providers")} hint="openai, anthropic" />
        <${Choice} name="mode" label="Mode" choices=${MODES} value=${of.mode ?? "balanced"} />
        <${Choice} name="action" label="When it is spent" choices=${ACTIONS} value=${of.action ?? "enforce"} />
        <${Choice} name="on_unpriced" label="A model without a price" choices=${of.on_unpriced?.startsWith("ceiling") ? [...UNPRICED, [of.on_unpriced, of.on_unpriced]] : UNPRICED} value=${of.on_unpriced ?? "refuse"} />
        <${Choice} name="fail" label="While the database is away" choices=${FAIL} value=${of.fail ?? "open"} />
        <${Field} name="warn_at" label="Tell at (per cent)" value=${(of.warn_at ?? []).join(", ")} hint="50, 80" />
        <${Field} name="contact" label="Whom to ask for more" value=${of.contact ?? ""} hint="The refusal says so." />
      </div>
    </details>
    ${of.name ? html`<${Field} name="reason" label="Why" hint="The history keeps it." />` : null}
  `;
}

const list = (text = "") => text.split(",").map((one) => one.trim()).filter(Boolean);

// The body that the API takes, of the fields as they were typed.
export function budgetBody(given) {
  return {
    ...given,
    keys: given.keys ? [given.keys] : [],
    metadata: pairs(given.metadata),
    each: given.each ?? null,
    models: list(given.models),
    providers: list(given.providers),
    warn_at: list(given.warn_at).map(Number),
    contact: given.contact ?? null,
  };
}
