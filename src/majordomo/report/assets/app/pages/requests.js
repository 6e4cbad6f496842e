// The requests themselves, newest first, page by page: all, those that failed, those without a price.
import { html, useEffect, useState } from "../ui.js";
import { useAnswer } from "../api.js";
import { useLive } from "../live.js";
import { asking, hrefWith, zoneOf } from "../state.js";
import { Asked } from "../parts/asked.js";
import { Download } from "../parts/download.js";
import { Empty } from "../parts/empty.js";
import { LiveMark } from "../parts/live_mark.js";
import { Panel } from "../parts/panel.js";
import { Tabs } from "../parts/tabs.js";
import { isFailed } from "../requests/ending.js";
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
  const listens = !query.has("cursor");
  const { fresh, open } = useFresh(query, kind, asked, listens);
  return html`
    <${Asked} title="Requests" query=${query}>${listens ? html`<${LiveMark} query=${query} open=${open} />` : null}<${Download} query=${query} /><//>
    <${Panel} title=${tabs} label="Requests" asked=${asked}>
      ${(answer) => html`
        <${RequestList} requests=${joined(fresh, answer.requests)} fresh=${new Set(fresh.map((one) => one.id))} zone=${zoneOf(query)} empty=${html`<${Empty} title="No such request in this period" />`} />
        <${Pager} query=${query} next=${answer.next_cursor} />`}
    <//>
  `;
}

const MOST_FRESH = 150;

// What has come since the page was loaded, newest first, as far as it is of the kind that is shown.
function useFresh(query, kind, asked, listens) {
  const [fresh, set] = useState([]);
  useEffect(() => set([]), [query.toString()]);
  const isShown = (one) => kind === "all" || (kind === "errors" ? isFailed(one) : one.unpriced);
  const come = (one) => {
    if (isShown(one)) set((now) => joined([one], now).slice(0, MOST_FRESH));
  };
  const gap = () => {
    set([]);
    asked.reload();
  };
  return { fresh, open: useLive(query, come, gap, { off: !listens }) };
}

// Both lists, each request once, newest first. They come in the order of their ends, and are shown in that of their beginnings.
function joined(fresh, requests) {
  const known = new Set(fresh.map((one) => one.id));
  const all = [...fresh, ...requests.filter((one) => !known.has(one.id))];
  return all.sort((one, other) => Date.parse(other.requested_at) - Date.parse(one.requested_at));
}
