// One's own tokens: what a program signs in with.
import { html, useState } from "../ui.js";
import { send, useAnswer } from "../api.js";
import { ago, day } from "../format.js";
import { zoneOf } from "../state.js";
import { Dialog } from "../parts/dialog.js";
import { Empty } from "../parts/empty.js";
import { Field } from "../parts/field.js";
import { Form } from "../parts/form.js";
import { Panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";
import { toast } from "../parts/toast.js";
import { ToldOnce } from "./told_once.js";

export function Tokens({ query }) {
  const asked = useAnswer("/tokens");
  const [open, set] = useState(null); // "new", or what the API answered
  const zone = zoneOf(query);
  const create = ({ name, days }) => send("POST", "/tokens", { name, ...(days ? { days: Number(days) } : {}) });
  const after = (made) => {
    asked.reload();
    set(made);
  };
  const remove = async (one) => {
    try {
      await send("DELETE", `/tokens/${one.id}`);
      toast(`${one.name} is refused from now on.`);
    } catch (error) {
      toast(error.message, { wrong: true });
    }
    asked.reload();
  };
  return html`
    <${Panel} title="Your tokens" asked=${asked} aside=${html`<button type="button" class="main" onClick=${() => set("new")}>New token</button>`}>
      ${(answer) => html`<${Table} caption="Tokens" rows=${answer.tokens} keyOf=${(one) => one.id} empty=${html`<${Empty} title="You have no token"><p>A program asks the control API with one, and may do what you may: <code>Authorization: Bearer mdm_ut_…</code></p><//>`} columns=${[
        { key: "name", label: "Name", wide: true, render: (one) => one.name },
        { key: "made", label: "Made", minor: true, render: (one) => day(one.created_at, zone) },
        { key: "until", label: "Until", render: (one) => (one.expires_at ? day(one.expires_at, zone) : "taken back") },
        { key: "used", label: "Last used", render: (one) => (one.last_used_at ? ago(one.last_used_at, zone) : "never") },
        { key: "remove", label: html`<span class="unseen">Take back</span>`, render: (one) => html`<button type="button" class="danger" aria-label=${`Take ${one.name} back`} onClick=${() => remove(one)}>Take back</button>` },
      ]} />`}
    <//>
    ${open === "new" ? html`<${Dialog} title="New token" onClose=${() => set(null)}>
      <${Form} ask=${create} after=${after} onClose=${() => set(null)} verb="Create">
        <${Field} name="name" label="Name" required hint="What program it is for." />
        <${Field} name="days" label="Days until it ends" type="number" min="1" max="3650" hint="Left out: it works until it is taken back." />
      <//>
    <//>` : null}
    ${open?.token ? html`<${ToldOnce} title=${`The token ${open.name}`} text=${open.token} onClose=${() => set(null)}>Copy it now: nobody can show it again.<//>` : null}
  `;
}
