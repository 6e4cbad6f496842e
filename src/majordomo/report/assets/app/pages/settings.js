// Settings: people, one's own tokens, and what the gateway runs with.
import { html } from "../ui.js";
import { isAdmin } from "../session.js";
import { hrefWith } from "../state.js";
import { Gateway } from "../settings/gateway.js";
import { People } from "../settings/people.js";
import { Tokens } from "../settings/tokens.js";
import { Asked } from "../parts/asked.js";
import { Tabs } from "../parts/tabs.js";

const TABS = [
  { name: "people", label: "People", view: People },
  { name: "tokens", label: "Your tokens", view: Tokens },
  { name: "gateway", label: "Gateway", view: Gateway, admin: true },
];

export default function Settings({ query, session }) {
  const shown = TABS.filter((tab) => !tab.admin || isAdmin(session));
  const chosen = shown.find((tab) => tab.name === query.get("tab")) ?? shown[0];
  const choices = shown.map(({ name, label }) => ({ name, label, href: hrefWith({ tab: name === shown[0].name ? null : name }) }));
  return html`
    <${Asked} title="Settings" query=${query} plain />
    <div class="stack"><${Tabs} label="Settings" chosen=${chosen.name} choices=${choices} /><${chosen.view} query=${query} session=${session} /></div>
  `;
}
