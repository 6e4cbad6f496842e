// Gateway keys: which there are, and a new one.
import { html, useState } from "../ui.js";
import { send, useAnswer } from "../api.js";
import { ago, count, day } from "../format.js";
import { isAdmin } from "../session.js";
import { hrefTo, hrefWith, zoneOf } from "../state.js";
import { Asked } from "../parts/asked.js";
import { Dialog } from "../parts/dialog.js";
import { Empty } from "../parts/empty.js";
import { Form } from "../parts/form.js";
import { Panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";
import { Tabs } from "../parts/tabs.js";
import { keyBody, KeyFields } from "../keys/form.js";
import { Secret } from "../keys/secret.js";

const MOST = 1000; // the API's largest page

export default function Keys({ query, session }) {
  const asked = useAnswer("/keys", new URLSearchParams({ limit: MOST }));
  const [open, set] = useState(null); // "new", or what the API answered
  const close = () => set(null);
  const after = (made) => {
    asked.reload();
    set(made);
  };
  const create = isAdmin(session) ? html`<button type="button" class="main" onClick=${() => set("new")}>New key</button>` : null;
  return html`
    <${Asked} title="Gateway keys" query=${query} plain>${create}<//>
    <${Panel} label="Gateway keys" asked=${asked}>${(answer) => html`<${List} answer=${answer} query=${query} />`}<//>
    ${open === "new" ? html`<${New} onClose=${close} after=${after} />` : null}
    ${open && open !== "new" ? html`<${Secret} made=${open} onClose=${close} />` : null}
  `;
}

function New({ onClose, after }) {
  return html`<${Dialog} title="New gateway key" onClose=${onClose}>
    <${Form} ask=${(given) => send("POST", "/keys", keyBody(given))} after=${after} onClose=${onClose} verb="Create"><${KeyFields} /><//>
  <//>`;
}

function List({ answer, query }) {
  const chosen = query.get("show") === "revoked" ? "revoked" : "active";
  const rows = answer.keys.filter((key) => key.is_active === (chosen === "active"));
  const tab = (name) => ({
    name,
    label: `${name === "active" ? "Active" : "Revoked"} ${count(answer.keys.filter((key) => key.is_active === (name === "active")).length)}`,
    href: hrefWith({ show: name === "active" ? null : name }),
  });
  return html`
    <${Tabs} label="Which keys" chosen=${chosen} choices=${[tab("active"), tab("revoked")]} />
    <${Table} caption="Gateway keys" rows=${rows} keyOf=${(key) => key.id} href=${(key) => hrefTo(`/keys/${key.id}`)}
      empty=${html`<${Empty} title=${chosen === "active" ? "There is no active key" : "No key has been revoked"}><p>Every caller sends a gateway key in <code>X-Majordomo-Key</code>. An admin makes them here, or with <code>majordomo keys create --name NAME</code>.</p><//>`}
      columns=${columns(zoneOf(query))} />
    ${answer.next_cursor ? html`<p class="quiet">The first ${count(MOST)} are shown; <code>majordomo keys list</code> has all.</p>` : null}`;
}

function columns(zone) {
  return [
    { key: "name", label: "Name", wide: true, render: (key) => html`<b>${key.name}</b>${key.description ? html`<br /><span class="quiet">${key.description}</span>` : null}` },
    { key: "metadata", label: "Metadata", minor: true, render: (key) => Object.entries(key.metadata).map(([name, value]) => html`<div>${name}: ${value}</div>`) },
    { key: "created", label: "Created", minor: true, render: (key) => html`<span class="nowrap">${day(key.created_at, zone)}</span>` },
    { key: "used", label: "Last used", render: (key) => html`<span class="nowrap">${key.last_used_at ? ago(key.last_used_at, zone) : "never"}</span>` },
    { key: "requests", label: "Requests", number: true, render: (key) => count(key.request_count) },
  ];
}
