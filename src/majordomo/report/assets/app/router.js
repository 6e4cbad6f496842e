// Where we are, and how to go elsewhere: paths and queries of the address bar, by the history API.
import { useEffect, useState } from "./ui.js";
import { pages } from "./pages.js";

const listeners = new Set();

function read() {
  return { path: location.pathname, query: new URLSearchParams(location.search) };
}

let current = read();

function changed() {
  current = read();
  for (const listener of listeners) listener(current);
}

addEventListener("popstate", changed);

// The address now: { path, query }. Not to be changed in place.
export function here() {
  return current;
}

// The address, and a new rendering whenever it changes.
export function useAddress() {
  const [address, set] = useState(current);
  useEffect(() => {
    listeners.add(set);
    set(current);
    return () => listeners.delete(set);
  }, []);
  return address;
}

// A path with a query. `query` is a URLSearchParams; an empty one adds nothing.
export function href(path, query) {
  const text = query ? query.toString().replaceAll("%3A", ":").replaceAll("%2F", "/").replaceAll("%2C", ",") : "";
  return text ? `${path}?${text}` : path;
}

// Go to an address of ours. `replace` leaves no step to come back to.
export function go(to, { replace = false } = {}) {
  if (to === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", to);
  const before = current.path;
  changed();
  if (current.path !== before) scrollTo(0, 0);
}

// The page of a path with its parameters, or null.
export function match(path) {
  for (const page of pages) {
    const params = matched(page.path, path);
    if (params) return { page, params };
  }
  return null;
}

function matched(pattern, path) {
  if (pattern.endsWith("/*")) {
    const base = pattern.slice(0, -1);
    return path.startsWith(base) && path.length > base.length ? { rest: decoded(path.slice(base.length)) } : null;
  }
  const [wanted, given] = [pattern.split("/"), path.split("/")];
  if (wanted.length !== given.length) return null;
  const params = {};
  for (const [place, part] of wanted.entries()) {
    if (part.startsWith(":") && given[place]) params[part.slice(1)] = decoded(given[place]);
    else if (part !== given[place]) return null;
  }
  return params;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

// Links of ours change the address without loading anything anew; all others are left alone.
addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest?.("a[href]");
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (!match(link.pathname) || link.hash) return;
  event.preventDefault();
  go(link.pathname + link.search);
});
