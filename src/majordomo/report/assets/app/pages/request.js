// One request: what it cost and why, how it went, whose it was, and every field of its row.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { write } from "../filters.js";
import { count, exactMoney, longMoment, money } from "../format.js";
import { hrefTo, zoneOf } from "../state.js";
import { Asked } from "../parts/asked.js";
import { Copy } from "../parts/copy.js";
import { Facts } from "../parts/facts.js";
import { Panel } from "../parts/panel.js";
import { CostTable } from "../requests/cost.js";
import { Ending } from "../requests/ending.js";
import { runHref } from "../runs/address.js";
import { Timing } from "../requests/timing.js";

export default function RequestPage({ query, params }) {
  const asked = useAnswer(`/usage/requests/${encodeURIComponent(params.id)}`);
  const mine = asked.answer?.request.id === params.id.toLowerCase() ? asked.answer : null;
  return html`
    <p class="way"><a href=${hrefTo("/requests")}>Requests</a> <span aria-hidden="true">/</span> <code>${params.id}</code> <${Copy} text=${params.id} label="Copy id" /></p>
    ${mine ? html`<${Asked} title=${mine.request.model ?? mine.request.request_path} query=${query} plain><${Ending} request=${mine.request} /><//>` : null}
    ${mine ? contents(mine, query) : html`<${Panel} asked=${asked} label="Request" />`}
  `;
}

const filtered = (dimension, value, shown = value) => (value === null || value === undefined ? null : html`<a href=${hrefTo("/", { filter: write({ dimension, value }) })}>${shown}</a>`);

function contents({ request, key_name: keyName, buckets, price_version: version }, query) {
  const zone = zoneOf(query);
  const metadata = Object.entries(request.raw_metadata ?? {});
  return html`<div class="grid">
    <${Panel} title="Cost" aside=${html`<b title=${exactMoney(request.total_cost)}>${money(request.total_cost)}</b>`}><${CostTable} buckets=${buckets} request=${request} version=${version} /><//>
    <div class="stack">
      <${Panel} title="Time"><${Timing} request=${request} zone=${zone} /><//>
      <${Panel} title="Tokens"><${Facts} facts=${[
        ["Prompt", count(request.prompt_tokens)],
        ["of that read from a cache", count(request.cached_tokens)],
        ["of that written to a cache", count(request.cache_creation_tokens)],
        ["Output", count(request.output_tokens)],
        ["of that reasoning", count(request.reasoning_tokens)],
        ["Counted by", { final: "the provider", drained: "the provider, after the caller had gone", estimated: "the gateway, an estimate", none: "nobody: nothing was used" }[request.usage_state] ?? request.usage_state],
      ]} /><//>
    </div>
    ${request.error_type || request.error_message ? html`<${Panel} title="What went wrong" className="whole"><p><b>${request.error_type ?? ""}</b> ${request.error_message ?? ""}</p><//>` : null}
    <${Panel} title="Whose"><${Facts} facts=${[
      ["Gateway key", filtered("key", request.majordomo_api_key_id, keyName ?? request.majordomo_api_key_id)],
      ["Provider", filtered("provider", request.provider)],
      ["Model asked for", request.requested_model],
      ["Client", filtered("client", request.client)],
      ["Claude Code session", request.claude_session_id && html`<a href=${hrefTo("/requests", { filter: `session:${request.claude_session_id}` })}>${request.claude_session_id}</a>`],
      ["Run", request.trace_id && html`<a href=${runHref(request.trace_id)}>${request.trace_id}</a>`],
      ["Span", request.span_path],
    ]} /><//>
    <${Panel} title="Metadata">${metadata.length ? html`<${Facts} facts=${metadata.map(([name, value]) => [name, filtered(name.startsWith("-") ? `metadata.${name}` : name, value, value === "" ? "(empty)" : value)])} />` : html`<p class="quiet">None was sent.</p>`}<//>
    <details class="panel whole"><summary>Every field</summary><div class="panel-body"><${Facts} wide facts=${Object.entries(request).map(([name, value]) => [html`<code>${name}</code>`, raw(name, value, zone)])} /></div></details>
  </div>`;
}

function raw(name, value, zone) {
  if (value === null) return html`<span class="none">null</span>`;
  if (typeof value === "object") return html`<code class="json">${JSON.stringify(value, null, 1)}</code>`;
  return html`<code title=${name.endsWith("_at") ? `${longMoment(value, zone)} (${zone})` : undefined}>${String(value)}</code>`;
}
