// Who is signed in: { user, csrf_token, expires_at }, asked once, shared by all pages.
import { useEffect, useState } from "./ui.js";
import { forget, get, remember, send } from "./api.js";
import { go } from "./router.js";

const listeners = new Set();
let session = null;
let asked = null;

export function begin(found) {
  session = found;
  remember(found);
  for (const listener of listeners) listener(session);
}

export async function end() {
  await send("DELETE", "/session");
  forget();
  asked = null;
  begin(null);
  go("/sign-in");
}

// The session; null until it is known, and while nobody is signed in (the API client then leads to /sign-in).
export function useSession(needed = true) {
  const [found, set] = useState(session);
  useEffect(() => {
    listeners.add(set);
    set(session);
    if (needed && session === null) {
      asked ??= get("/session").then(begin, () => undefined).finally(() => (asked = null));
    }
    return () => listeners.delete(set);
  }, [needed]);
  return found;
}

export function isAdmin(found) {
  return found !== null && found.user.role === "admin";
}
