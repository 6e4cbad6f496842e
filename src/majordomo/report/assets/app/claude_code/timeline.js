// A session's requests in their order, each with a bar of its time, indented by the agent that sent it.
import { html } from "../ui.js";
import { count, duration, exactMoney, moment, money, short } from "../format.js";
import { hrefTo } from "../state.js";
import { Empty } from "../parts/empty.js";
import { Table } from "../parts/table.js";

const MOST_SHOWN = 1000;

export function Timeline({ requests, zone }) {
  const shown = requests.slice(-MOST_SHOWN);
  const start = Math.min(...shown.map((one) => Date.parse(one.requested_at)));
  const length = Math.max(1, ...shown.map((one) => Date.parse(one.requested_at) + (one.response_time_ms ?? 0) - start));
  return html`
    ${requests.length > shown.length ? html`<p class="quiet">The last ${count(MOST_SHOWN)} of ${count(requests.length)} are shown.</p>` : null}
    <${Table} caption="Requests of the session" rows=${shown} keyOf=${(one) => one.id} href=${(one) => hrefTo(`/requests/${one.id}`)} empty=${html`<${Empty} title="Nothing has been asked in it" />`} columns=${[
      { key: "at", label: "When", render: (one) => html`<span class="nowrap">${moment(one.requested_at, zone)}</span>` },
      { key: "time", label: "Took", minor: true, render: (one) => html`<${Span} one=${one} start=${start} length=${length} />` },
      { key: "class", label: "What for", render: (one) => html`${one.agent_id ? html`<span class="quiet" title=${one.agent_id}>↳ </span>` : null}${one.query_class ?? html`<span class="none">(none)</span>`} ${modes(one)}` },
      { key: "tools", label: "Tools", minor: true, wide: true, render: (one) => (one.tool_names?.length ? one.tool_names.join(", ") : html`<span class="quiet">–</span>`) },
      { key: "model", label: "Model", minor: true, render: (one) => one.model ?? html`<span class="none">(none)</span>` },
      { key: "ending", label: "Ended", minor: true, render: (one) => html`<span class=${one.outcome === "completed" && !(one.status_code >= 400) ? "" : "bad"}>${one.ending.replaceAll("_", " ")}</span>` },
      { key: "tokens", label: "Tokens", number: true, minor: true, render: (one) => html`<span title=${`${count(one.prompt_tokens)} of the prompt, ${count(one.output_tokens)} of output`}>${short((one.prompt_tokens ?? 0) + (one.output_tokens ?? 0))}</span>` },
      { key: "cost", label: "Cost", number: true, render: (one) => html`<span title=${exactMoney(one.total_cost)}>${money(one.total_cost)}</span>` },
    ]} />`;
}

function modes(one) {
  return html`${one.has_thinking ? html`<span class="tag">thinking</span> ` : null}${one.is_plan_mode ? html`<span class="tag">plan</span>` : null}`;
}

function Span({ one, start, length }) {
  const from = ((Date.parse(one.requested_at) - start) / length) * 100;
  const wide = Math.max(0.6, ((one.response_time_ms ?? 0) / length) * 100);
  return html`<span class="span-bar"><svg aria-hidden="true" preserveAspectRatio="none" viewBox="0 0 100 1"><rect x=${Math.min(from, 99.4)} width=${wide} height="1" /></svg><span class="nowrap">${duration(one.response_time_ms)}</span></span>`;
}
