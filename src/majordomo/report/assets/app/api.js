// The public control API, asked with the session's cookie. Answers are its JSON; whatever goes wrong is an ApiError.
import { useEffect, useRef, useState } from "./ui.js";
import { go, here } from "./router.js";

const BASE = "/api/v1";
const USAGE = "/usage/";

// What the API says is wrong: status (0 where nothing answered), code, message, details.
export class ApiError extends Error {
  constructor(status, code, message, details = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
  }
}

let csrf = null;

// GET. `params`: URLSearchParams or an object. Answers are JSON.
export function get(path, params, signal) {
  const query = params ? new URLSearchParams(params).toString() : "";
  const began = performance.now();
  return ask("GET", query ? `${path}?${query}` : path, undefined, signal).finally(() => {
    if (path.startsWith(USAGE)) slowestMs = Math.max(performance.now() - began, slowestMs * 0.8);
  });
}

let slowestMs = 0;

// How long (ms) the slowest of the last usage questions took.
export function slowest() {
  return slowestMs;
}

// POST, PATCH, PUT, DELETE with a JSON body. A change repeats the session's token; an outdated one is renewed once.
export async function send(method, path, body) {
  try {
    return await ask(method, path, body);
  } catch (error) {
    if (error.code !== "csrf_token_missing") throw error;
    csrf = (await get("/session")).csrf_token;
    return ask(method, path, body);
  }
}

export function remember(session) {
  csrf = session ? session.csrf_token : null;
}

async function ask(method, path, body, signal) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && csrf) headers["X-CSRF-Token"] = csrf;
  let reply;
  try {
    reply = await fetch(BASE + path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (fault) {
    if (fault.name === "AbortError") throw fault;
    throw new ApiError(0, "unreachable", "The gateway does not answer. Is it running?");
  }
  if (reply.ok) return reply.status === 204 ? null : reply.json();
  const error = await refusal(reply);
  if (error.status === 401 && error.code === "not_signed_in" && here().path !== "/sign-in") toSignIn();
  throw error;
}

async function refusal(reply) {
  try {
    const { error } = await reply.json();
    return new ApiError(reply.status, error.code, error.message, error.details);
  } catch {
    return new ApiError(reply.status, "unreadable", `The gateway answered ${reply.status} and nothing readable.`);
  }
}

function toSignIn() {
  const next = location.pathname + location.search;
  go(next === "/" ? "/sign-in" : `/sign-in?next=${encodeURIComponent(next)}`, { replace: true });
}

// The last answers, so that going back shows at once what was there, while it is asked anew.
const kept = new Map();
const MOST_KEPT = 60;

function keep(key, answer) {
  kept.delete(key);
  kept.set(key, answer);
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
}

export function forget() {
  kept.clear();
}

// Questions under way, by their key: parts that ask the same share one, and the last to go takes it back.
const under = new Map();

function share(key, path, params) {
  let one = under.get(key);
  if (!one) {
    const stop = new AbortController();
    const answer = get(path, params ? new URLSearchParams(params) : undefined, stop.signal);
    one = { answer, stop, askers: 0 };
    under.set(key, one);
    answer.catch(() => undefined).finally(() => under.get(key) === one && under.delete(key));
  }
  one.askers += 1;
  return one;
}

function leave(key, one) {
  one.askers -= 1;
  if (one.askers > 0) return;
  if (under.get(key) === one) under.delete(key);
  one.stop.abort();
}

const refreshing = new Set();

// Ask all usage questions that are shown anew; what is shown stays as it is until the answers are there.
export function refresh() {
  for (const again of refreshing) again();
}

// A question as part of a component: { answer, error, loading, reload }. While a new one is under way the old answer
// stays. `path` null asks nothing. `params`: URLSearchParams. What is asked depends on nothing but path and params.
export function useAnswer(path, params) {
  const key = path === null ? null : `${path}?${params ?? ""}`;
  const [state, set] = useState({ key, path, answer: kept.get(key) ?? null, error: null, loading: key !== null });
  const [turn, setTurn] = useState(0);
  const quiet = useRef(false);
  useEffect(() => {
    if (!path?.startsWith(USAGE)) return undefined;
    const again = () => {
      quiet.current = true;
      setTurn((now) => now + 1);
    };
    refreshing.add(again);
    return () => refreshing.delete(again);
  }, [path]);
  useEffect(() => {
    if (key === null) return undefined;
    let gone = false;
    const loading = !quiet.current;
    quiet.current = false;
    set((now) => ({ key, path, answer: kept.get(key) ?? (now.path === path ? now.answer : null), error: null, loading }));
    const one = share(key, path, params);
    one.answer.then(
      (answer) => {
        keep(key, answer);
        if (!gone) set({ key, path, answer, error: null, loading: false });
      },
      (error) => {
        if (!gone) set({ key, path, answer: null, error, loading: false });
      },
    );
    return () => {
      gone = true;
      leave(key, one);
    };
  }, [key, turn]);
  const reload = () => setTurn((now) => now + 1);
  if (state.key === key) return { answer: state.answer, error: state.error, loading: state.loading, reload };
  // the first rendering with a new question: its effect has not run yet, and another route's answer means nothing here
  const answer = kept.get(key) ?? (state.path === path ? state.answer : null);
  return { answer, error: null, loading: key !== null, reload };
}
