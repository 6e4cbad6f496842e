// One session of Claude Code as a timeline, its cost by several views, and why /usage shows another sum.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { count, duration, exactMoney, longMoment, money } from "../format.js";
import { hrefTo, zoneOf } from "../state.js";
import { Timeline } from "../claude_code/timeline.js";
import { Asked } from "../parts/asked.js";
import { Copy } from "../parts/copy.js";
import { Facts } from "../parts/facts.js";
import { Panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";

const STATES = { open: "open", ended: "ended", idle: "closed: nothing came for a while" };

export default function ClaudeSession({ query, params }) {
  const asked = useAnswer(`/usage/claude-code/sessions/${encodeURIComponent(params.id)}`);
  const told = asked.answer?.session.id === params.id.toLowerCase() ? asked.answer : null;
  return html`
    <p class="way"><a href=${hrefTo("/claude-code")}>Claude Code</a> <span aria-hidden="true">/</span> <code>${params.id}</code> <${Copy} text=${params.id} label="Copy id" /></p>
    ${told ? html`<${Asked} title=${told.session.session_name ?? "Session"} query=${query} plain /><${Told} it=${told} zone=${zoneOf(query)} />` : html`<${Panel} label="Session" asked=${asked} />`}
  `;
}

function Told({ it, zone }) {
  const { session } = it;
  return html`<div class="grid">
    <${Panel} title="Session"><${Facts} facts=${[
      ["State", STATES[session.state]],
      ["Gateway key", html`<a href=${hrefTo(`/keys/${session.majordomo_api_key_id}`)}>${session.key_name ?? session.majordomo_api_key_id}</a>`],
      ["Began", longMoment(session.started_at, zone)],
      ["Went on for", duration(session.duration_ms)],
      ["Requests", html`<a href=${hrefTo("/requests", { filter: `session:${session.id}` })}>${count(session.total_requests)}</a>`],
      ["Input tokens", count(session.total_input_tokens)],
      ["Output tokens", count(session.total_output_tokens)],
    ]} /><//>
    <${Ledgers} it=${it} />
    <${Panel} title="Request by request" className="whole"><${Timeline} requests=${it.requests} zone=${zone} /><//>
    <${Parts} title="By model" rows=${it.by_model} none="(none)" />
    <${Parts} title="By class" rows=${it.by_class} none="(none)" />
    <${Parts} title="By agent" rows=${it.by_agent} none="the main loop" />
    <${Parts} title="By tool" rows=${it.by_tool} none="no tool called" />
  </div>`;
}

function Ledgers({ it }) {
  const { session } = it;
  return html`<${Panel} title="What it cost">
    <${Facts} facts=${[
      ["Billed by the provider", html`<b title=${exactMoney(session.total_cost)}>${money(session.total_cost)}</b>`],
      ["Shown by /usage", html`<span title=${exactMoney(session.usage_cost)}>${session.usage_shows}</span>`],
      ...it.gaps.map((gap) => [html`${gap.query_class ?? "(none)"}: ${gap.reason}`, html`<span title=${exactMoney(gap.difference)}>${money(gap.difference)}, ${count(gap.requests)} requests</span>`]),
      ["Rounding of /usage", Number(it.rounding) ? html`<span title=${exactMoney(it.rounding)}>${money(it.rounding)}</span>` : null],
      ["Without a known price", it.unpriced ? `${count(it.unpriced)} requests` : null],
    ]} />
  <//>`;
}

function Parts({ title, rows, none }) {
  return html`<${Panel} title=${title}>
    <${Table} caption=${title} rows=${rows} keyOf=${(row) => row.value ?? ""} columns=${[
      { key: "value", label: title.slice(3, 4).toUpperCase() + title.slice(4), wide: true, render: (row) => row.value ?? html`<span class="none">${none}</span>` },
      { key: "requests", label: "Requests", number: true, render: (row) => count(row.requests) },
      { key: "usage", label: "/usage", number: true, minor: true, render: (row) => html`<span title=${exactMoney(row.usage_cost)}>${money(row.usage_cost)}</span>` },
      { key: "cost", label: "Cost", number: true, render: (row) => html`<span title=${exactMoney(row.total_cost)}>${money(row.total_cost)}</span>` },
    ]} />
  <//>`;
}
