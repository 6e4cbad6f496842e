// The people of the organisation: who may look, who may change, and links to sign in with.
import { html, useState } from "../ui.js";
import { send, useAnswer } from "../api.js";
import { ago } from "../format.js";
import { isAdmin } from "../session.js";
import { zoneOf } from "../state.js";
import { Choice } from "../parts/choice.js";
import { Dialog } from "../parts/dialog.js";
import { Field } from "../parts/field.js";
import { Form } from "../parts/form.js";
import { Menu } from "../parts/menu.js";
import { Panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";
import { toast } from "../parts/toast.js";
import { ToldOnce } from "./told_once.js";

const ROLES = [
  ["member", "Member: looks"],
  ["admin", "Admin: also changes keys, budgets, metadata keys and people"],
];

export function People({ query, session }) {
  const asked = useAnswer("/users");
  const [open, set] = useState(null); // "invite", or { user, link }
  const admin = isAdmin(session);
  const after = (answer) => {
    asked.reload();
    set(answer);
  };
  const change = (user, what) => act(() => send("PATCH", `/users/${user.id}`, what), () => asked.reload());
  const link = (user) => act(() => send("POST", `/users/${user.id}/link`), after);
  return html`
    <${Panel} title="People" asked=${asked} aside=${admin ? html`<button type="button" class="main" onClick=${() => set("invite")}>Invite</button>` : null}>
      ${(answer) => html`<${List} users=${answer.users} zone=${zoneOf(query)} admin=${admin} change=${change} link=${link} />`}
    <//>
    ${open === "invite" ? html`<${Dialog} title="Invite somebody" onClose=${() => set(null)}>
      <${Form} ask=${(given) => send("POST", "/users", given)} after=${after} onClose=${() => set(null)} verb="Invite">
        <${Field} name="email" label="E-mail address" type="email" required />
        <${Field} name="name" label="Name" />
        <${Choice} name="role" label="Role" choices=${ROLES} value="member" />
      <//>
    <//>` : null}
    ${open?.user ? html`<${ToldOnce} title=${`A link for ${open.user.email}`} text=${`${location.origin}/sign-in#${open.link}`} onClose=${() => set(null)}>It works once, within three days, and sets the password. Send it on a way that you trust.<//>` : null}
  `;
}

async function act(ask, after) {
  try {
    after(await ask());
  } catch (error) {
    toast(error.message, { wrong: true });
  }
}

function List({ users, zone, admin, change, link }) {
  return html`<${Table} caption="People" rows=${users} keyOf=${(one) => one.id} columns=${[
    { key: "name", label: "Name", wide: true, render: (one) => html`<b>${one.name}</b><br /><span class="quiet">${one.email}</span>` },
    { key: "role", label: "Role", render: (one) => one.role },
    { key: "state", label: "State", render: (one) => (one.is_active ? (one.has_password ? "active" : "invited") : html`<span class="bad">not active</span>`) },
    { key: "last", label: "Last signed in", minor: true, render: (one) => html`<span class="nowrap">${one.last_sign_in_at ? ago(one.last_sign_in_at, zone) : "never"}</span>` },
    ...(admin ? [{ key: "more", label: html`<span class="unseen">Change</span>`, render: (one) => html`<${Menu} label="Change" name=${`Change ${one.email}`} align="right">
      ${(close) => [
        item("Make a new link", () => link(one), close),
        item(one.role === "admin" ? "Make a member" : "Make an admin", () => change(one, { role: one.role === "admin" ? "member" : "admin" }), close),
        item(one.is_active ? "Deactivate" : "Activate", () => change(one, { is_active: !one.is_active }), close),
      ]}
    <//>` }] : []),
  ]} />`;
}

function item(words, does, close) {
  const click = () => {
    close();
    does();
  };
  return html`<button type="button" class="menu-item" key=${words} onClick=${click}>${words}</button>`;
}
