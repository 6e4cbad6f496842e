// The question that a page asks, kept in the address's query and nowhere else, in the control API's own words:
// period | from & to, timezone, filter (repeatable), and what a page adds (group_by, metric, sort, ...).
import { go, here, href, useAddress } from "./router.js";

const SHARED = ["period", "from", "to", "timezone", "filter"];

export const DEFAULT_PERIOD = "30d";

// The browser's zone: the address names it from the first change on, so that a link shows everyone the same figures.
export const ownZone = (() => {
  try {
    return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  } catch {
    return "UTC";
  }
})();

export function zoneOf(query) {
  return query.get("timezone") || ownZone;
}

// What of a query every usage question takes, as parameters of the API.
export function question(query) {
  const asked = new URLSearchParams();
  if (query.get("from")) {
    asked.set("from", query.get("from"));
    if (query.get("to")) asked.set("to", query.get("to"));
  } else asked.set("period", query.get("period") || DEFAULT_PERIOD);
  asked.set("timezone", zoneOf(query));
  for (const filter of query.getAll("filter")) asked.append("filter", filter);
  return asked;
}

// `question` with further parameters: { group_by: "model", metric: ["requests"] }; null and undefined are left out.
export function asking(query, more = {}) {
  return withChanges(question(query), more);
}

// A copy of a query with changes: a value sets, an array repeats, null takes away.
export function withChanges(query, changes) {
  const changed = new URLSearchParams(query);
  for (const [name, value] of Object.entries(changes)) {
    changed.delete(name);
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== "") changed.append(name, one);
    }
  }
  return changed;
}

// The address of the page we are on with changes of its query.
export function hrefWith(changes, address = here()) {
  const changed = withChanges(address.query, changes);
  if (!changed.has("timezone")) changed.set("timezone", ownZone);
  return href(address.path, changed);
}

export function change(changes, options) {
  go(hrefWith(changes), options);
}

// Another page's address with the same period and filters, and its own parameters.
export function hrefTo(path, more = {}, address = here()) {
  const kept = new URLSearchParams();
  for (const name of SHARED) for (const value of address.query.getAll(name)) kept.append(name, value);
  return href(path, withChanges(kept, more));
}

// The query of the address bar; a page that uses it is rendered anew when it changes.
export function useQuery() {
  return useAddress().query;
}
