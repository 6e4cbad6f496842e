// The same traffic on another model's prices: what each model's requests would have cost there.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { count, exactMoney, money, percent } from "../format.js";
import { asking, change } from "../state.js";
import { Asked } from "../parts/asked.js";
import { Empty } from "../parts/empty.js";
import { Field } from "../parts/field.js";
import { Panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";

export default function WhatIf({ query }) {
  const model = query.get("model");
  const asked = useAnswer(model ? "/usage/what-if" : null, asking(query, { model, provider: query.get("provider") }));
  return html`
    <${Asked} title="What if" query=${query} />
    <div class="stack">
      <${Panel} label="The other model"><${Choice} key=${`${model} ${query.get("provider")}`} query=${query} /><//>
      ${model ? html`<${Panel} title=${`On the prices of ${model}`} asked=${asked}>${(answer) => html`<${Comparison} answer=${answer} />`}<//>` : null}
    </div>
    <p class="caveats">Each billed quantity is priced again by today's prices, every prompt in the bracket that its length is in. The tokenizer stays the old model's: another one would count the same text a little differently.</p>
  `;
}

function Choice({ query }) {
  const models = useAnswer("/usage/breakdown", asking(query, { group_by: "model", limit: 100, filter: null })).answer?.rows ?? [];
  const providers = useAnswer("/usage/breakdown", asking(query, { group_by: "provider", limit: 50, filter: null })).answer?.rows ?? [];
  const submit = (event) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    change({ model: given.get("model").trim(), provider: given.get("provider").trim() });
  };
  const options = (id, rows) => html`<datalist id=${id}>${rows.filter((row) => row.value).map((row) => html`<option key=${row.value} value=${row.value} />`)}</datalist>`;
  return html`<form class="line" onSubmit=${submit}>
    <${Field} name="model" label="What if it had been the model" list="models" required maxlength="100" value=${query.get("model") ?? ""} placeholder="gpt-5-mini" autocomplete="off" />
    <${Field} name="provider" label="of the provider" list="providers" maxlength="100" value=${query.get("provider") ?? ""} placeholder="each request's own" autocomplete="off" />
    ${options("models", models)}${options("providers", providers)}
    <button type="submit" class="main">Compare</button>
  </form>`;
}

function Comparison({ answer }) {
  const rows = [...answer.rows, ...(answer.rows.length ? [{ ...answer.total, isTotal: true, unpriced: 0, not_priced: [] }] : [])];
  const usd = (text) => html`<span title=${exactMoney(text)}>${text === null ? html`<span class="none">unknown</span>` : money(text)}</span>`;
  return html`
    <${Table} caption="Cost now and there" rows=${rows} keyOf=${(row) => (row.isTotal ? "total" : `${row.provider} ${row.model}`)} empty=${html`<${Empty} title="Nothing to compare in this period" />`} columns=${[
      { key: "model", label: "Model", wide: true, render: (row) => (row.isTotal ? html`<b>All that can be compared</b>` : html`${row.model ?? html`<span class="none">(none)</span>`}<br /><span class="quiet">${row.provider}${missing(row)}</span>`) },
      { key: "requests", label: "Requests", number: true, minor: true, render: (row) => count(row.requests) },
      { key: "now", label: "Was", number: true, render: (row) => usd(row.actual_cost) },
      { key: "there", label: "Would be", number: true, render: (row) => usd(row.what_if_cost) },
      { key: "difference", label: "Difference", number: true, render: difference },
    ]} />
    ${answer.not_compared ? html`<p class="quiet">${count(answer.not_compared)} requests are not compared: they have no price of their own, or none there.</p>` : null}
    <p class="quiet">By the prices of version <code>${answer.price_version}</code>.</p>`;
}

function missing(row) {
  if (row.not_priced.some((one) => one.what === "unknown_model")) return " · this provider has no such model";
  return row.not_priced.length ? ` · no price there for ${row.not_priced.map((one) => one.what.replaceAll("_", " ")).join(", ")}` : "";
}

function difference(row) {
  if (row.difference === null || row.difference === undefined) return "–";
  const [by, was] = [Number(row.difference), Number(row.actual_cost)];
  const sign = by > 0 ? "+" : "";
  return html`<span class=${by > 0 ? "bad" : by < 0 ? "good" : ""} title=${exactMoney(row.difference)}>${sign}${money(row.difference)}${was ? html`<br /><span class="quiet">${sign}${percent(by / was, 0)}</span>` : null}</span>`;
}
