// Tokens and cost by class: what was read anew, from a cache, written to one, and answered.
import { html } from "../ui.js";
import { count, exactMoney, money, percent, short } from "../format.js";
import { Change } from "../parts/change.js";
import { Panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";

const CLASSES = [
  ["Input, uncached", "uncached_tokens", "input_cost"],
  ["Cache read", "cached_tokens", "cache_read_cost"],
  ["Cache write", "cache_creation_tokens", "cache_creation_cost"],
  ["Output", "output_tokens", "output_cost"],
  ["Tools", null, "tool_cost"],
];

export function Classes({ summary }) {
  return html`<${Panel} title="Tokens and cost by class" asked=${summary}>
    ${({ usage, previous }) => {
      const rows = CLASSES.filter(([, tokens, cost]) => (tokens && usage[tokens]) || Number(usage[cost])).map(([label, tokens, cost]) => ({ label, tokens, cost }));
      const share = (cost) => (Number(usage.total_cost) ? Number(usage[cost]) / Number(usage.total_cost) : null);
      return html`<${Table} caption="Tokens and cost by class" rows=${rows} keyOf=${(row) => row.label} columns=${[
        { key: "class", label: "Class", render: (row) => (row.label === "Output" && usage.reasoning_tokens ? html`Output <span class="quiet">· ${short(usage.reasoning_tokens)} reasoning</span>` : row.label) },
        { key: "tokens", label: "Tokens", number: true, render: (row) => (row.tokens ? html`<span title=${count(usage[row.tokens])}>${short(usage[row.tokens])}</span>` : "–") },
        { key: "cost", label: "Cost", number: true, render: (row) => html`<span title=${exactMoney(usage[row.cost])}>${money(usage[row.cost])}</span>` },
        { key: "share", label: "Of spend", number: true, minor: true, render: (row) => percent(share(row.cost)) },
        { key: "change", label: "", number: true, render: (row) => html`<${Change} now=${usage[row.cost]} before=${previous.usage[row.cost]} />` },
      ]} />`;
    }}
  <//>`;
}
