// Metadata keys: what callers send, and which of it is indexed, so that it is a dimension that answers in a blink.
import { html, useEffect, useState } from "../ui.js";
import { forget, send, useAnswer } from "../api.js";
import { ago, count, percent } from "../format.js";
import { isAdmin } from "../session.js";
import { hrefTo, zoneOf } from "../state.js";
import { Confirm } from "../metadata/confirm.js";
import { Asked } from "../parts/asked.js";
import { Code } from "../parts/copy.js";
import { Empty } from "../parts/empty.js";
import { Panel } from "../parts/panel.js";
import { Table } from "../parts/table.js";
import { toast } from "../parts/toast.js";

// While older requests are being filled in, how often the page looks how far that is (ms).
const LOOK_AGAIN_MS = 1500;

export default function MetadataKeys({ query, session }) {
  const asked = useAnswer("/metadata-keys", new URLSearchParams({ limit: 1000 }));
  const [doubt, set] = useState(null); // the key with very many values that was to be activated
  const keys = asked.answer?.metadata_keys ?? [];
  const filling = keys.some((one) => one.backfill && one.backfill.state !== "done");
  useEffect(() => {
    if (!filling) return undefined;
    const timer = setInterval(asked.reload, LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [filling]);
  const turn = async (one, confirm = false) => {
    set(null);
    const what = one.is_active ? "deactivate" : "activate";
    try {
      await send("POST", `/metadata-keys/${encodeURIComponent(one.name)}/${what}`, confirm ? { confirm } : undefined);
      forget();
      toast(one.is_active ? `${one.name} is no longer indexed; it is recorded as before.` : `${one.name} is active: it is a dimension from now on, and older requests follow.`);
    } catch (error) {
      if (error.code === "many_values") return set({ one, error });
      toast(error.message, { wrong: true });
    }
    return asked.reload();
  };
  return html`
    <${Asked} title="Metadata keys" query=${query} plain />
    <${Panel} label="Metadata keys" asked=${{ ...asked, loading: asked.loading && !asked.answer }}>
      ${(answer) => html`
        <${List} rows=${answer.metadata_keys} zone=${zoneOf(query)} admin=${isAdmin(session)} turn=${turn} />
        ${answer.left_out ? html`<p class="quiet">And ${count(answer.left_out)} more that are sent more seldom.</p>` : null}`}
    <//>
    ${doubt ? html`<${Confirm} name=${doubt.one.name} error=${doubt.error} onClose=${() => set(null)} go=${() => turn(doubt.one, true)} />` : null}
  `;
}

function List({ rows, zone, admin, turn }) {
  const empty = html`<${Empty} title="No request has carried metadata yet">
    <p>Every header <code>X-Majordomo-Something</code> of a request becomes metadata under its name:</p>
    <${Code} text=${'-H "X-Majordomo-Feature: search" -H "X-Majordomo-Team: legal" -H "X-Majordomo-User-Id: u_123"'} label="Headers" />
  <//>`;
  return html`<${Table} caption="Metadata keys, most sent first" rows=${rows} keyOf=${(one) => one.name} empty=${empty} columns=${[
    { key: "name", label: "Name", render: (one) => html`<b><a href=${hrefTo("/", { right: one.name })}>${one.name}</a></b>` },
    { key: "values", label: "Different values", number: true, render: (one) => html`<span title="within some 2 %">${one.approx_values > 100 ? "≈ " : ""}${count(one.approx_values)}</span>` },
    { key: "requests", label: "Requests", number: true, render: (one) => count(one.requests) },
    { key: "seen", label: "Last seen", minor: true, render: (one) => html`<span class="nowrap">${ago(one.last_seen_at, zone)}</span>` },
    { key: "samples", label: "Some values", wide: true, minor: true, render: (one) => one.sample_values.map((value) => html`<span class="tag">${value === "" ? "(empty)" : value}</span> `) },
    { key: "state", label: "Indexed", render: (one) => html`<${State} one=${one} />` },
    ...(admin ? [{ key: "turn", label: html`<span class="unseen">Activate or deactivate</span>`, render: (one) => html`<button type="button" aria-label=${`${one.is_active ? "Deactivate" : "Activate"} ${one.name}`} onClick=${() => turn(one)}>${one.is_active ? "Deactivate" : "Activate"}</button>` }] : []),
  ]} />`;
}

function State({ one }) {
  if (!one.is_active) return html`<span class="quiet">no</span>`;
  const { backfill } = one;
  if (!backfill || backfill.state === "done") return html`<span class="good">active</span>${one.is_active_everywhere ? null : html` <span class="quiet">for some keys</span>`}`;
  return html`<span class="meter" role="progressbar" aria-label=${`Filling in older requests with ${one.name}`} aria-valuenow=${Math.round(backfill.progress * 100)} aria-valuemin="0" aria-valuemax="100">
    <svg aria-hidden="true" preserveAspectRatio="none" viewBox="0 0 100 1"><rect width=${backfill.progress * 100} height="1" /></svg>
    <span class="meter-words">active; older requests ${backfill.state === "waiting" ? "will follow" : percent(backfill.progress, 0)}</span>
  </span>`;
}
