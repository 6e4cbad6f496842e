// Budgets: how full each is, the fullest first, and a new one.
import { html, useState } from "../ui.js";
import { send, useAnswer } from "../api.js";
import { longMoment } from "../format.js";
import { go } from "../router.js";
import { isAdmin } from "../session.js";
import { hrefTo, zoneOf } from "../state.js";
import { Asked } from "../parts/asked.js";
import { Dialog } from "../parts/dialog.js";
import { Empty } from "../parts/empty.js";
import { Form } from "../parts/form.js";
import { Panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";
import { toast } from "../parts/toast.js";
import { budgetBody, BudgetFields } from "../budgets/form.js";
import { Meter } from "../budgets/meter.js";
import { Near, Refused } from "../budgets/sight.js";
import { amount, percentUsed, scopeWords, state, windowWords } from "../budgets/words.js";

export default function Budgets({ query, session }) {
  const asked = useAnswer("/budgets");
  const keys = useAnswer("/keys", new URLSearchParams({ limit: 1000 })).answer?.keys ?? [];
  const [open, set] = useState(false);
  const after = (made) => {
    for (const warning of made.warnings) toast(warning);
    go(hrefTo(`/budgets/${made.id}`));
  };
  return html`
    <${Asked} title="Budgets" query=${query} plain>
      ${isAdmin(session) ? html`<button type="button" class="main" onClick=${() => set(true)}>New budget</button>` : null}
    <//>
    <div class="grid">
      <${Panel} label="Budgets" className="whole" asked=${asked}>${(answer) => html`<${List} budgets=${answer.budgets} keys=${keys} zone=${zoneOf(query)} />`}<//>
      ${asked.answer?.budgets.length ? html`<${Near} zone=${zoneOf(query)} /><${Refused} zone=${zoneOf(query)} />` : null}
    </div>
    ${open ? html`<${Dialog} title="New budget" onClose=${() => set(false)}>
      <${Form} ask=${(given) => send("POST", "/budgets", budgetBody(given))} after=${after} onClose=${() => set(false)} verb="Create"><${BudgetFields} keys=${keys.filter((key) => key.is_active)} /><//>
    <//>` : null}
  `;
}

function List({ budgets, keys, zone }) {
  const nameOfKey = (id) => keys.find((key) => key.id === id)?.name ?? id;
  const rows = [...budgets].sort((one, other) => one.paused - other.paused || percentUsed(other) - percentUsed(one));
  const empty = html`<${Empty} title="There is no budget yet">
    <p>A budget is a limit that holds before a request leaves: 50 USD a day for a team, 5 USD for each user, 100 turns for a session of Claude Code.
      An admin makes one here, or with <code>majordomo budgets create --name legal --limit 50 --window day --metadata Team=legal</code>.</p>
  <//>`;
  return html`<${Table} caption="Budgets, the fullest first" rows=${rows} keyOf=${(one) => one.id} href=${(one) => hrefTo(`/budgets/${one.id}`)} empty=${empty} columns=${[
    { key: "name", label: "Name", wide: true, render: (one) => html`<b>${one.name}</b><br /><span class="quiet">${scopeWords(one, nameOfKey)}</span>` },
    { key: "used", label: "Used", render: (one) => html`<${Meter} percent=${percentUsed(one)} state=${state(one)} />` },
    { key: "spent", label: "Spent", number: true, render: (one) => html`<span title=${one.spent}>${amount(one.spent, one.unit)}</span>` },
    { key: "limit", label: "Limit", number: true, render: (one) => html`${amount(one.limit, one.unit)}<br /><span class="quiet">${windowWords(one)}</span>` },
    { key: "resets", label: "Starts anew", minor: true, render: (one) => html`<span class="nowrap">${one.resets_at ? longMoment(one.resets_at, zone) : "–"}</span>` },
    { key: "how", label: "How", minor: true, render: (one) => (one.action === "warn" ? "warns only" : one.mode) },
  ]} />`;
}
