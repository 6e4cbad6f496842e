// What an admin does to a budget, each in a dialog of its own.
import { html } from "../ui.js";
import { send } from "../api.js";
import { Dialog } from "../parts/dialog.js";
import { Field } from "../parts/field.js";
import { Form } from "../parts/form.js";
import { budgetBody, BudgetFields } from "./form.js";

const WORDS = {
  change: ["Change", "Save", "Changed."],
  raise: ["Raise", "Raise it", "Raised. The next request may go on."],
  pause: ["Pause", "Pause it", "Paused: counted on, and not enforced."],
  resume: ["Resume", "Enforce it again", "Enforced again."],
  delete: ["Delete", "Delete it", "Deleted. Its history stays."],
};

// `what`: a key of WORDS; `path`: the budget's; `done(words, gone)`: gives what is called afterwards.
export function Doing({ what, it, path, keys, onClose, done }) {
  const [verb, button, said] = WORDS[what];
  const ask = {
    change: (given) => send("PATCH", path, budgetBody(given)),
    raise: ({ amount, until, reason }) => send("POST", `${path}/raise`, { amount, until: new Date(until).toISOString(), reason }),
    pause: ({ reason }) => send("POST", `${path}/pause`, { reason: reason ?? null }),
    resume: ({ reason }) => send("POST", `${path}/resume`, { reason: reason ?? null }),
    delete: () => send("DELETE", path),
  }[what];
  return html`<${Dialog} title=${`${verb} ${it.name}`} onClose=${onClose}>
    <${Form} ask=${ask} after=${done(said, what === "delete")} onClose=${onClose} verb=${button} danger=${what === "delete"}>${fields(what, it, keys)}<//>
  <//>`;
}

function fields(what, it, keys) {
  const why = html`<${Field} name="reason" label="Why" required=${what === "raise"} hint="The history keeps it." />`;
  if (what === "change") return html`<${BudgetFields} of=${it} keys=${keys} />`;
  if (what === "delete") return html`<p>Nothing is limited by it any more. Its history stays in the database.</p>`;
  if (what !== "raise") return why;
  return html`
    <${Field} name="amount" label=${`By (${it.unit === "usd" ? "USD" : it.unit})`} required inputmode="decimal" />
    <${Field} name="until" label="Until" type="datetime-local" required hint="It ends by itself then." />
    ${why}`;
}
