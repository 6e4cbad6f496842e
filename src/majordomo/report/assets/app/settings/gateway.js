// What the gateway runs with: version, database, and every setting with where it came from.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { count } from "../format.js";
import { Facts } from "../parts/facts.js";
import { Panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";

const SOURCES = { flag: "command line", environment: "environment", file: "file", default: "default" };

export function Gateway() {
  const asked = useAnswer("/settings");
  return html`
    <${Panel} title="Gateway" asked=${asked} aside=${html`<a href="/status">How its parts fare</a>`}>${(answer) => html`<${About} it=${answer} />`}<//>
    <${Panel} title="Settings" asked=${asked}>
      ${(answer) => html`<p class="quiet">They are read at the start. A command-line option, the variable below each, or a line in majordomo.toml sets one.</p><${List} rows=${answer.settings} />`}
    <//>
  `;
}

function About({ it }) {
  return html`<${Facts} facts=${[
    ["Version", it.version],
    ["Front desks", `${count(it.front_desks_serving)} of ${count(it.workers)} serving`],
    ["Data directory", html`<code>${it.data_dir}</code>`],
    ["Database", it.database.embedded ? "embedded" : html`<code>${it.database.dsn}</code>`],
    ["PostgreSQL", it.database.server_version],
    ["Schema", `version ${it.database.schema_version}`],
    ["Prices", `version ${it.price_version}`],
  ]} />`;
}

function List({ rows }) {
  return html`<${Table} caption="Settings" rows=${rows} keyOf=${(one) => one.name} columns=${[
    { key: "name", label: "Setting", wide: true, render: (one) => html`<b>${one.name}</b><br /><span class="quiet">${one.description}</span><br /><code class="quiet">${one.environment}</code>` },
    { key: "value", label: "Value", wide: true, render: (one) => html`<code>${shown(one.value)}</code>` },
    { key: "source", label: "From", render: (one) => SOURCES[one.source] },
  ]} />`;
}

function shown(value) {
  if (value === null) return "not set";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
