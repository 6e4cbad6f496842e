// A request's cost bucket by bucket: how many, at which rate, what that comes to; and the sum.
import { html } from "../ui.js";
import { count, exactMoney, shifted } from "../format.js";
import { Table } from "../parts/table.js";

// `buckets` and `price_version` of GET /usage/requests/{id}; `request`: its row.
export function CostTable({ buckets, request, version }) {
  const several = new Set(buckets.map((one) => one.model)).size > 1;
  const columns = [
    ...(several ? [{ key: "model", label: "Model", render: (one) => one.model ?? "–" }] : []),
    { key: "bucket", label: "Billed for", render: (one) => one.bucket.replaceAll("_", " ") },
    { key: "count", label: "Count", number: true, render: (one) => `${count(one.count)}${one.unit === "tokens" ? "" : ` ${one.unit}`}` },
    { key: "rate", label: "Rate", number: true, render: rate },
    { key: "cost", label: "Cost", number: true, render: (one) => (one.cost === null ? html`<span class="none">unknown</span>` : exactMoney(one.cost)) },
  ];
  return html`
    ${buckets.length ? html`<${Table} caption="Cost, bucket by bucket" rows=${buckets} keyOf=${(one) => `${one.model} ${one.bucket}`} columns=${columns} />` : html`<p class="quiet">Nothing was billed.</p>`}
    <p class="total"><span>Total</span> <b>${request.total_cost === null ? "unknown" : exactMoney(request.total_cost)}</b></p>
    <p class="quiet">${version ? html`By the prices of version <code>${version}</code>.` : "No price was applied."}
      ${buckets.some((one) => one.rate === null) ? " Rates are left out where today's prices no longer give the cost that was recorded." : null}</p>`;
}

function rate(one) {
  if (one.rate === null) return "–";
  return one.unit === "tokens" ? html`$${shifted(one.rate, 6)} <span class="quiet">/ 1M</span>` : `$${one.rate}`;
}
