// The filters in force, each with a way to take it away, and a dialog to add one.
import { html, useEffect, useState } from "../ui.js";
import { useAnswer } from "../api.js";
import { useDimensions, words } from "../dimensions.js";
import { flipped, parse, toggled, write } from "../filters.js";
import { count, money } from "../format.js";
import { go } from "../router.js";
import { shortcut } from "../shortcuts.js";
import { asking, hrefWith } from "../state.js";
import { Dialog } from "./dialog.js";

export function FilterBar({ query }) {
  const [open, set] = useState(false);
  const filters = query.getAll("filter");
  useEffect(() => {
    const byKey = (event) => {
      if (shortcut(event) !== "f") return;
      event.preventDefault();
      set(true);
    };
    addEventListener("keydown", byKey);
    return () => removeEventListener("keydown", byKey);
  }, []);
  return html`
    ${filters.map((filter) => html`<${Chip} key=${filter} filter=${filter} />`)}
    <button type="button" class="add-filter" onClick=${() => set(true)}>Filter</button>
    ${filters.length > 1 ? html`<a class="clear" href=${hrefWith({ filter: null, cursor: null })}>Clear all</a>` : null}
    ${open ? html`<${Add} query=${query} onClose=${() => set(false)} />` : null}
  `;
}

function Chip({ filter }) {
  const { dimension, value, excluded } = parse(filter);
  const name = words(dimension);
  const label = useLabel(dimension, value);
  const [verb, shown] =
    value === null ? [excluded ? "has" : "has", excluded ? "(none)" : "any"] : [excluded ? "is not" : "is", label];
  return html`<span class="chip">
    <a class="chip-text" href=${flipped(filter)} title=${excluded ? "Press to keep these alone" : "Press to leave these out"}>${name} ${verb} <b>${shown === "" ? "(empty)" : shown}</b></a>
    <a class="chip-end" href=${toggled(filter)} aria-label=${`Remove the filter ${name} ${verb} ${shown}`} title="Remove">×</a>
  </span>`;
}

// A gateway key is filtered by its id, and shown by its name.
function useLabel(dimension, value) {
  const isKeyId = dimension === "key" && value !== null && /^[0-9a-f-]{36}$/i.test(value);
  const { answer } = useAnswer(isKeyId ? `/keys/${value}` : null);
  return isKeyId && answer?.id === value ? (answer.name ?? value) : value;
}

// Choose a dimension, then one of its foremost values, or write one.
function Add({ query, onClose }) {
  const dimensions = useDimensions();
  const [name, setName] = useState("");
  const [excluded, setExcluded] = useState(false);
  const [text, setText] = useState("");
  const wanted = name || "model";
  const { answer } = useAnswer("/usage/breakdown", asking(query, { group_by: wanted, limit: 100, sort: "requests" }));
  const found = answer?.group_by === wanted || answer?.group_by === wanted.replace(/^metadata\./, "") ? answer.rows : [];
  const add = (value) => {
    go(toggled(write({ dimension: wanted, value, excluded })));
    onClose();
  };
  const submit = (event) => {
    event.preventDefault();
    add(text);
  };
  const rows = found.filter((row) => !text || (row.label ?? row.value ?? "(none)").toLowerCase().includes(text.toLowerCase()));
  return html`<${Dialog} title="Filter" onClose=${onClose}>
    <form onSubmit=${submit}>
      <div class="filter-form">
        <label><span class="unseen">By</span>
          <select value=${wanted} onChange=${(event) => setName(event.target.value)}>
            ${dimensions.map((one) => html`<option key=${one.name} value=${one.name}>${words(one.name)}</option>`)}
          </select>
        </label>
        <label><span class="unseen">Keep or leave out</span>
          <select value=${excluded ? "not" : "is"} onChange=${(event) => setExcluded(event.target.value === "not")}>
            <option value="is">is</option>
            <option value="not">is not</option>
          </select>
        </label>
        <label class="grow"><span class="unseen">Value</span>
          <input type="text" autofocus placeholder="a value" value=${text} onInput=${(event) => setText(event.target.value)} />
        </label>
        <button type="submit" class="main" disabled=${!text}>Add</button>
      </div>
      <ul class="values" aria-label="Values in this period">
        ${rows.map((row) => html`<li key=${row.value ?? "(none)"}><button type="button" class="menu-item" onClick=${() => (row.value === null ? (go(toggled(write({ dimension: wanted, value: null, excluded: !excluded }))), onClose()) : add(row.value))}>
          <span class=${row.value === null ? "none" : ""}>${row.value === null ? "(none)" : row.label ?? row.value}</span>
          <span class="quiet">${count(row.usage.requests)} · ${row.usage.cost_unknown ? "unknown" : money(row.usage.total_cost)}</span>
        </button></li>`)}
      </ul>
    </form>
  <//>`;
}
