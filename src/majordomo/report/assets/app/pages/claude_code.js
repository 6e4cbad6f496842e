// Claude Code: what its sessions cost, who held them, and what for: models, tools, thinking, plan mode, sub-agents.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { count, exactMoney, money, moment, percent, short } from "../format.js";
import { useLiveRefresh } from "../live.js";
import { asking, hrefTo, zoneOf } from "../state.js";
import { claudeSettings } from "../keys/use.js";
import { TopList } from "../overview/top_list.js";
import { Asked } from "../parts/asked.js";
import { Bars } from "../parts/bars.js";
import { Code } from "../parts/copy.js";
import { Empty } from "../parts/empty.js";
import { Facts } from "../parts/facts.js";
import { LiveMark } from "../parts/live_mark.js";
import { Panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";
import { Pager } from "../requests/pager.js";

export default function ClaudeCode({ query }) {
  const asked = useAnswer("/usage/claude-code", asking(query));
  const sessions = useAnswer("/usage/claude-code/sessions", asking(query, { cursor: query.get("cursor"), limit: 20 }));
  const open = useLiveRefresh(query, { off: query.has("cursor") });
  const none = asked.answer && !asked.loading && !asked.answer.work.requests && !query.has("filter");
  return html`
    <${Asked} title="Claude Code" query=${query}><${LiveMark} query=${query} open=${open} /><//>
    ${none ? html`<${FirstSteps} />` : html`<div class="grid">
      <${Panel} title="Cost" asked=${asked}>${({ work }) => html`<${Cost} work=${work} />`}<//>
      <${Panel} title="How it worked" asked=${asked}>${({ work }) => html`<${Modes} work=${work} />`}<//>
      <${Panel} title="Sessions, the last asked in first" className="whole" asked=${sessions}>
        ${(answer) => html`<${Sessions} rows=${answer.sessions} zone=${zoneOf(query)} /><${Pager} query=${query} next=${answer.next_cursor} newest="Last asked in" />`}
      <//>
      <${TopList} query=${withClient(query)} name="left" of=${["metadata.Developer", "model", "query_class", "key"]} />
      <${Panel} title="Tools that replies called" asked=${asked}>${(answer) => html`<${Tools} answer=${answer} />`}<//>
    </div>`}
  `;
}

// The lists beside are about Claude Code's requests alone.
function withClient(query) {
  const narrowed = new URLSearchParams(query);
  narrowed.append("filter", "client:claude-code");
  return narrowed;
}

function Cost({ work }) {
  return html`<${Facts} facts=${[
    ["Billed by the provider", html`<b title=${exactMoney(work.total_cost)}>${money(work.total_cost)}</b>`],
    ["Shown by /usage", html`<span title=${exactMoney(work.usage_cost)}>${money(work.usage_cost)}</span>`],
    ["Requests", count(work.requests)],
    ["Sessions", count(work.sessions)],
  ]} />`;
}

function Modes({ work }) {
  const of = (requests, cost) => html`<span title=${exactMoney(cost)}>${count(requests)} requests (${percent(work.requests ? requests / work.requests : 0)}), ${money(cost)}</span>`;
  return html`<${Facts} facts=${[
    ["With thinking", of(work.thinking_requests, work.thinking_cost)],
    ["In plan mode", of(work.plan_mode_requests, work.plan_mode_cost)],
    ["By sub-agents", of(work.subagent_requests, work.subagent_cost)],
    ["Tools called", count(work.tool_uses)],
  ]} />`;
}

function Sessions({ rows, zone }) {
  return html`<${Table} caption="Sessions" rows=${rows} keyOf=${(one) => one.id} href=${(one) => hrefTo(`/claude-code/${one.id}`)} empty=${html`<${Empty} title="No session in this period" />`} columns=${[
    { key: "name", label: "Session", render: (one) => one.session_name ?? html`<code>${one.id.slice(0, 8)}</code>` },
    { key: "key", label: "Gateway key", minor: true, render: (one) => one.key_name ?? html`<span class="none">(gone)</span>` },
    { key: "last", label: "Last request", render: (one) => html`<span class="nowrap">${moment(one.last_at, zone)}</span>` },
    { key: "requests", label: "Requests", number: true, minor: true, render: (one) => count(one.requests) },
    { key: "tokens", label: "Tokens", number: true, minor: true, render: (one) => html`<span title=${`${count(one.prompt_tokens)} of prompts, ${count(one.output_tokens)} of output`}>${short(one.prompt_tokens + one.output_tokens)}</span>` },
    { key: "usage", label: "/usage", number: true, minor: true, render: (one) => html`<span title=${exactMoney(one.usage_cost)}>${money(one.usage_cost)}</span>` },
    { key: "cost", label: "Cost", number: true, render: (one) => html`<span title=${exactMoney(one.total_cost)}>${money(one.total_cost)}</span>` },
  ]} />`;
}

function Tools({ answer }) {
  const most = Math.max(...answer.tools.map((one) => Number(one.total_cost)), 0);
  const rows = answer.tools.map((one) => ({
    key: one.tool ?? "(none)",
    label: one.tool ?? "(no tool)",
    isNone: one.tool === null,
    share: most ? Number(one.total_cost) / most : 0,
    figure: money(one.total_cost),
    title: `${exactMoney(one.total_cost)}, ${count(one.requests)} requests`,
  }));
  if (!rows.length) return html`<${Empty} title="No tool was called in this period" />`;
  return html`<${Bars} label="Tools" heads=${["Tool", "Spend"]} rows=${rows} /><p class="quiet">Spend on the replies that called it; one that called several tools counts in each.</p>`;
}

function FirstSteps() {
  return html`<${Panel} title="No request of Claude Code's in this period">
    <p>Put this into <code>~/.claude/settings.json</code> with a <a href=${hrefTo("/keys")}>gateway key</a>, and start <code>claude</code>:</p>
    <${Code} text=${claudeSettings("mdm_sk_...")} label="Settings of Claude Code" />
    <p>Or run it behind the companion, which also names the session and goes on while the gateway is away:</p>
    <${Code} text=${`majordomo-companion exec --gateway ${location.origin} -- claude`} label="Companion" />
  <//>`;
}
