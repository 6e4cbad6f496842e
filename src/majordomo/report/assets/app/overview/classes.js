// Tokens and cost by class: what was read anew, from a cache, written to one, and answered.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { count, exactMoney, money, percent, short } from "../format.js";
import { asking } from "../state.js";
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

// What prompt caches saved, in a line; nothing where none was used.
function Saved({ answer, usage }) {
  if (!answer?.rows.length) return null;
  const amount = Number(answer.saved);
  const most = answer.rows.filter((row) => row.saved !== null).map((row) => `${row.model}: ${money(row.saved)}`);
  return html`<p class="saved" title=${most.slice(0, 10).join("\n")}>
    ${amount < 0
      ? html`Writing to caches cost <b class="bad">${money(answer.saved.replace("-", ""))}</b> more than reading from them saved.`
      : html`Caching saved <b class="good" title=${exactMoney(answer.saved)}>${money(answer.saved)}</b>${share(amount, usage)}.`}
    ${answer.unknown ? html` <span class="quiet">Of ${short(answer.unknown)} cached tokens it is not known.</span>` : null}
  </p>`;
}

function share(saved, usage) {
  const without = saved + Number(usage.total_cost);
  return without > 0 ? `, ${percent(saved / without, 0)} of the ${money(without.toFixed(6))} that it would have been` : "";
}

export function Classes({ query, summary }) {
  const caching = useAnswer("/usage/caching", asking(query));
  return html`<${Panel} title="Tokens and cost by class" asked=${summary}>
    ${({ usage, previous }) => {
      const rows = CLASSES.filter(([, tokens, cost]) => (tokens && usage[tokens]) || Number(usage[cost])).map(([label, tokens, cost]) => ({ label, tokens, cost }));
      const share = (cost) => (Number(usage.total_cost) ? Number(usage[cost]) / Number(usage.total_cost) : null);
      return html`<${Saved} answer=${caching.answer} usage=${usage} /><${Table} caption="Tokens and cost by class" rows=${rows} keyOf=${(row) => row.label} columns=${[
        { key: "class", label: "Class", render: (row) => (row.label === "Output" && usage.reasoning_tokens ? html`Output <span class="quiet">· ${short(usage.reasoning_tokens)} reasoning</span>` : row.label) },
        { key: "tokens", label: "Tokens", number: true, render: (row) => (row.tokens ? html`<span title=${count(usage[row.tokens])}>${short(usage[row.tokens])}</span>` : "–") },
        { key: "cost", label: "Cost", number: true, render: (row) => html`<span title=${exactMoney(usage[row.cost])}>${money(usage[row.cost])}</span>` },
        { key: "share", label: "Of spend", number: true, minor: true, render: (row) => percent(share(row.cost)) },
        { key: "change", label: "Change", number: true, render: (row) => html`<${Change} now=${usage[row.cost]} before=${previous.usage[row.cost]} />` },
      ]} />`;
    }}
  <//>`;
}
