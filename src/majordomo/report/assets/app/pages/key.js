// One gateway key: what it is, what it spent, and what an admin may do with it.
import { html, useState } from "../ui.js";
import { forget, send, useAnswer } from "../api.js";
import { filterFor } from "../filters.js";
import { count, exactMoney, longMoment, money } from "../format.js";
import { isAdmin } from "../session.js";
import { asking, hrefTo, zoneOf } from "../state.js";
import { Asked } from "../parts/asked.js";
import { Dialog } from "../parts/dialog.js";
import { Facts } from "../parts/facts.js";
import { Form } from "../parts/form.js";
import { Panel } from "../parts/panel.js";
import { toast } from "../parts/toast.js";
import { keyBody, KeyFields } from "../keys/form.js";
import { Secret } from "../keys/secret.js";

export default function KeyPage({ query, params, session }) {
  const path = `/keys/${encodeURIComponent(params.id)}`;
  const asked = useAnswer(path);
  const key = asked.answer?.id === params.id ? asked.answer : null;
  const [doing, set] = useState(null); // change, rotate, revoke, or { made }
  const done = (words) => (answer) => {
    forget();
    asked.reload();
    toast(words);
    set(answer?.key ? { made: answer } : null);
  };
  const button = (what, words, kind = "") => html`<button type="button" class=${kind} onClick=${() => set(what)}>${words}</button>`;
  return html`
    <p class="way"><a href=${hrefTo("/keys")}>Gateway keys</a> <span aria-hidden="true">/</span> <code>${params.id}</code></p>
    ${key ? html`<${Asked} title=${key.name} query=${query} plain>
      ${isAdmin(session) && key.is_active ? html`${button("change", "Change")}${button("rotate", "New secret")}${button("revoke", "Revoke", "danger")}` : null}
    <//>` : null}
    ${key ? html`<div class="grid"><${About} it=${key} zone=${zoneOf(query)} /><${Spent} it=${key} query=${query} /></div>` : html`<${Panel} label="Gateway key" asked=${asked} />`}
    ${key && doing ? html`<${Doing} what=${doing} it=${key} path=${path} onClose=${() => set(null)} done=${done} />` : null}
  `;
}

function About({ it, zone }) {
  return html`<${Panel} title="The key">
    ${it.is_active ? null : html`<p class="bad">Revoked on ${longMoment(it.revoked_at, zone)}: whoever sends it is refused.</p>`}
    <${Facts} facts=${[
      ["Description", it.description],
      ["Created", longMoment(it.created_at, zone)],
      ["Last used", it.last_used_at ? longMoment(it.last_used_at, zone) : "never"],
      ["Requests so far", count(it.request_count)],
      ["When a caller hangs up", { drain: "the reply is read on for its usage", cut: "the provider's reply is cut off" }[it.on_hangup] ?? "as the gateway's setting says"],
      ...Object.entries(it.metadata).map(([name, value]) => [html`${name} <span class="quiet">of the key</span>`, value]),
    ]} />
  <//>`;
}

function Spent({ it, query }) {
  const mine = asking(query, { filter: filterFor("key", it.id), period: "30d", from: null, to: null });
  const asked = useAnswer("/usage/summary", mine);
  return html`<${Panel} title="The last 30 days" asked=${asked} aside=${html`<a href=${hrefTo("/", { filter: filterFor("key", it.id) })}>In the overview</a>`}>
    ${({ usage }) => html`<${Facts} facts=${[
      ["Spend", html`<b title=${exactMoney(usage.total_cost)}>${usage.cost_unknown ? "unknown" : money(usage.total_cost)}</b>`],
      ["Requests", count(usage.requests)],
      ["Failed", count(usage.errors)],
      ["Prompt tokens", count(usage.prompt_tokens)],
      ["Output tokens", count(usage.output_tokens)],
    ]} />`}
  <//>`;
}

function Doing({ what, it, path, onClose, done }) {
  if (what.made) return html`<${Secret} made=${what.made} onClose=${onClose} />`;
  if (what === "change") {
    return html`<${Dialog} title=${`Change ${it.name}`} onClose=${onClose}>
      <${Form} ask=${(given) => send("PATCH", path, keyBody(given, { change: true }))} after=${done("Changed. Front desks know within a second.")} onClose=${onClose} verb="Save"><${KeyFields} of=${it} /><//>
    <//>`;
  }
  const rotates = what === "rotate";
  return html`<${Dialog} title=${rotates ? `A new secret for ${it.name}` : `Revoke ${it.name}`} onClose=${onClose}>
    <${Form} ask=${() => send("POST", `${path}/${what}`)} after=${done(rotates ? "The old secret is refused from now on." : "Revoked.")} onClose=${onClose} verb=${rotates ? "Make a new secret" : "Revoke"} danger=${!rotates}>
      <p>${rotates ? "The present secret is refused within a second. Its requests, budgets and name stay with the key." : "Its callers are refused within a second, and no way leads back. Its requests stay."}</p>
    <//>
  <//>`;
}
