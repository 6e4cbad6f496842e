// Filters as the API writes them: "model:gpt-5", "-Team:legal" (without), "Team" (any), "-Team" (none).
import { here } from "./router.js";
import { hrefWith } from "./state.js";

// { dimension, value, excluded }; value null means any value (none, if excluded).
export function parse(filter) {
  const excluded = filter.startsWith("-");
  const rest = excluded ? filter.slice(1) : filter;
  const colon = rest.indexOf(":");
  return colon < 0
    ? { dimension: rest, value: null, excluded }
    : { dimension: rest.slice(0, colon), value: rest.slice(colon + 1), excluded };
}

export function write({ dimension, value, excluded = false }) {
  return `${excluded ? "-" : ""}${dimension}${value === null || value === undefined ? "" : `:${value}`}`;
}

// The filter that keeps the requests of one row of a breakdown; a row without a value is what names none.
export function filterFor(dimension, value) {
  return value === null ? write({ dimension, value: null, excluded: true }) : write({ dimension, value });
}

export function isOn(query, filter) {
  return query.getAll("filter").includes(filter);
}

// The address with a filter added, or taken away where it is there already.
export function toggled(filter, address = here()) {
  const now = address.query.getAll("filter");
  const filters = now.includes(filter) ? now.filter((one) => one !== filter) : [...now, filter];
  return hrefWith({ filter: filters, cursor: null }, address);
}

// The address with a filter turned into its opposite, in its place.
export function flipped(filter, address = here()) {
  const opposite = filter.startsWith("-") ? filter.slice(1) : `-${filter}`;
  const filters = address.query.getAll("filter").map((one) => (one === filter ? opposite : one));
  return hrefWith({ filter: [...new Set(filters)], cursor: null }, address);
}
