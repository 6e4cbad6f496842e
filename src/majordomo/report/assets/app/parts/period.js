// Which time is asked about: presets, a range of days, the time zone. All are addresses.
import { html, useEffect, useState } from "../ui.js";
import { day } from "../format.js";
import { here } from "../router.js";
import { shortcut } from "../shortcuts.js";
import { DEFAULT_PERIOD, change, hrefWith, ownZone, zoneOf } from "../state.js";
import { Menu } from "./menu.js";

// [name of the API, words, key of the keyboard]
export const PRESETS = [
  ["today", "Today", "d"],
  ["yesterday", "Yesterday", "e"],
  ["24h", "Last 24 hours", "h"],
  ["7d", "Last 7 days", "w"],
  ["30d", "Last 30 days", "t"],
  ["90d", "Last 90 days", "q"],
  ["this_week", "This week"],
  ["last_week", "Last week"],
  ["this_month", "This month", "m"],
  ["last_month", "Last month"],
  ["this_year", "This year", "y"],
];

// The words for the period of a query.
export function periodWords(query) {
  const from = query.get("from");
  if (from) return range(from, query.get("to"));
  const name = query.get("period") || DEFAULT_PERIOD;
  return PRESETS.find(([preset]) => preset === name)?.[1] ?? name;
}

function range(from, to) {
  const shown = (text) => (/^\d{4}-\d\d-\d\d$/.test(text) ? day(`${text}T12:00:00Z`, "UTC") : text.replace("T", " "));
  return to ? `${shown(from)} – ${/^\d{4}-\d\d-\d\d$/.test(to) ? shown(shifted(to, -1)) : shown(to)}` : `Since ${shown(from)}`;
}

// A day as text so many days later: shifted("2026-03-01", -1) is "2026-02-28".
export function shifted(text, days) {
  const date = new Date(`${text}T00:00:00Z`);
  if (Number.isNaN(date.getTime())) return text;
  date.setUTCDate(date.getUTCDate() + days);
  return date.toISOString().slice(0, 10);
}

const chosen = (name) => ({ period: name, from: null, to: null, cursor: null });

export function Period({ query }) {
  useEffect(() => {
    addEventListener("keydown", byKey);
    return () => removeEventListener("keydown", byKey);
  }, []);
  const now = query.get("from") ? null : query.get("period") || DEFAULT_PERIOD;
  return html`<${Menu} label=${periodWords(query)} name=${`Period: ${periodWords(query)}`} align="right" className="period">
    ${(close) => html`
      ${PRESETS.map(
        ([name, words, key]) => html`<a key=${name} href=${hrefWith(chosen(name))} aria-current=${name === now ? "true" : undefined}>
          <span>${words}</span>${key ? html`<kbd aria-hidden="true">${key.toUpperCase()}</kbd>` : null}</a>`,
      )}
      <hr />
      <${Range} query=${query} close=${close} />
      <hr />
      <${Zone} query=${query} />
    `}
  <//>`;
}

function byKey(event) {
  const pressed = shortcut(event);
  const preset = pressed && PRESETS.find(([, , key]) => key === pressed);
  if (preset) change(chosen(preset[0]));
}

// Days from and to, both included: `to` of the API is the day after.
function Range({ query, close }) {
  const from = query.get("from")?.slice(0, 10) ?? "";
  const to = query.get("to") ? shifted(query.get("to").slice(0, 10), -1) : "";
  const [wrong, setWrong] = useState(null);
  const submit = (event) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    const [first, last] = [given.get("from"), given.get("to")];
    if (last && last < first) return setWrong("The last day is before the first.");
    change({ period: null, from: first, to: last ? shifted(last, 1) : null, cursor: null });
    return close();
  };
  return html`<form class="range" onSubmit=${submit}>
    <label>From <input type="date" name="from" required value=${from} /></label>
    <label>To <input type="date" name="to" value=${to} /></label>
    ${wrong ? html`<p class="bad" role="alert">${wrong}</p>` : null}
    <button type="submit">Show these days</button>
  </form>`;
}

function Zone({ query }) {
  const zone = zoneOf(query);
  const zones = [...new Set([zone, ownZone, "UTC"])];
  return html`<p class="zone-head quiet">Days by the clock of</p>
    ${zones.map((one) => html`<a key=${one} href=${hrefWith({ timezone: one }, here())} aria-current=${one === zone ? "true" : undefined}>${one}</a>`)}`;
}
