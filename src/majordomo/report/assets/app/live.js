// New requests as they come (GET /usage/live, server-sent events): a page either takes them one by one, or is asked anew
// when some have come. Nothing is followed while the page is hidden, or while what it shows does not reach up to now.
import { useEffect, useRef, useState } from "./ui.js";
import { refresh, slowest } from "./api.js";

const ENDED = new Set(["yesterday", "last_week", "last_month"]);
const AGAIN_MS = 15_000; // after a refusal: the browser itself goes on after a broken connection only
const LEAST_MS = 3000; // between two refreshes; more where the answers take long
const PAUSE = 25; // times as long as the slowest answer took

// Whether the period of a query reaches up to now.
export function reachesNow(query) {
  return !query.has("to") && !(ENDED.has(query.get("period")) && !query.has("from"));
}

// Follow the requests that pass a query's filters. `onRequest(request)`; `onGap()`: some were missed, load anew.
// Returns whether the stream is open.
export function useLive(query, onRequest, onGap, { off = false } = {}) {
  const [open, set] = useState(false);
  const told = useRef({});
  told.current = { onRequest, onGap };
  const filters = query.getAll("filter");
  const wanted = !off && reachesNow(query) && query.get("live") !== "off";
  useEffect(() => {
    if (!wanted) return undefined;
    const stop = follow(filters, told, set);
    return () => {
      stop();
      set(false);
    };
  }, [wanted, JSON.stringify(filters)]);
  return open;
}

function follow(filters, told, setOpen) {
  const parameters = new URLSearchParams(filters.map((filter) => ["filter", filter]));
  let stream = null;
  let timer = null;
  let isFirst = true;
  const begin = () => {
    if (stream || document.hidden) return;
    stream = new EventSource(`/api/v1/usage/live?${parameters}`);
    stream.addEventListener("open", () => {
      setOpen(true);
      if (!isFirst) told.current.onGap(); // what came while nothing was followed
      isFirst = false;
    });
    stream.addEventListener("request", (event) => told.current.onRequest(JSON.parse(event.data)));
    stream.addEventListener("skipped", () => told.current.onGap());
    stream.addEventListener("error", () => {
      setOpen(false);
      if (stream?.readyState !== EventSource.CLOSED) return;
      end();
      timer = setTimeout(begin, AGAIN_MS);
    });
  };
  const end = () => {
    clearTimeout(timer);
    stream?.close();
    stream = null;
  };
  const turned = () => (document.hidden ? (end(), setOpen(false)) : begin());
  document.addEventListener("visibilitychange", turned);
  begin();
  return () => {
    document.removeEventListener("visibilitychange", turned);
    end();
  };
}

// Ask all usage questions of the page anew when requests have come, now and then, and without any flicker.
export function useLiveRefresh(query, options) {
  const timer = useRef(null);
  const last = useRef(0);
  const come = () => {
    if (timer.current) return;
    const wait = Math.max(LEAST_MS, PAUSE * slowest(), 0) - (Date.now() - last.current);
    timer.current = setTimeout(() => {
      timer.current = null;
      last.current = Date.now();
      refresh();
    }, Math.max(300, wait));
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  return useLive(query, come, come, options);
}
