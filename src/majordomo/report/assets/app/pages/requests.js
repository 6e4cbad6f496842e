// The requests themselves, newest first, page by page: all, those that failed, those without a price.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { asking, hrefWith, zoneOf } from "../state.js";
import { Asked } from "../parts/asked.js";
import { Empty } from "../parts/empty.js";
import { Panel } from "../parts/panel.js";
import { Tabs } from "../parts/tabs.js";
import { RequestList } from "../requests/list.js";
import { Pager } from "../requests/pager.js";

const KINDS = [
  ["all", "All", { errors: null, unpriced: null }],
  ["errors", "Failed", { errors: "true", unpriced: null }],
  ["unpriced", "Without a price", { errors: null, unpriced: "true" }],
];

export default function Requests({ query }) {
  const asked = useAnswer("/usage/requests", asking(query, { errors: query.get("errors"), unpriced: query.get("unpriced"), cursor: query.get("cursor") }));
  const kind = query.has("errors") ? "errors" : query.has("unpriced") ? "unpriced" : "all";
  const tabs = html`<${Tabs} label="Which requests" chosen=${kind} choices=${KINDS.map(([name, label, changes]) => ({ name, label, href: hrefWith({ ...changes, cursor: null }) }))} />`;
  return html`
    <${Asked} title="Requests" query=${query} />
    <${Panel} title=${tabs} label="Requests" asked=${asked}>
      ${(answer) => html`
        <${RequestList} requests=${answer.requests} zone=${zoneOf(query)} empty=${html`<${Empty} title="No such request in this period" />`} />
        <${Pager} query=${query} next=${answer.next_cursor} />`}
    <//>
  `;
}
