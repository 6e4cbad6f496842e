// Signing in: with address and password, or with a one-time link (/sign-in#SECRET), which sets the password.
import { html, useEffect, useState } from "../ui.js";
import { send } from "../api.js";
import { go } from "../router.js";
import { begin } from "../session.js";
import { Field } from "../parts/field.js";
import { useForm } from "../parts/form.js";
import { Problem } from "../parts/problem.js";

const LEAST_PASSWORD = 10;

export default function SignIn({ query }) {
  const [link, setLink] = useState(location.hash.slice(1));
  useEffect(() => {
    const pasted = () => setLink(location.hash.slice(1)); // into the address bar of this very page: nothing is loaded anew
    addEventListener("hashchange", pasted);
    return () => removeEventListener("hashchange", pasted);
  }, []);
  const after = (session) => {
    begin(session);
    history.replaceState(null, "", "/sign-in"); // the secret leaves the address, and no step leads back to it
    go(nextOf(query), { replace: true });
  };
  return html`<main class="sign-in">
    <p class="brand"><img src="/assets/icon.svg" alt="" width="28" height="28" />Majordomo</p>
    ${link
      ? html`<${NewPassword} link=${link} after=${after} otherwise=${() => setLink("")} />`
      : html`<${Password} after=${after} />`}
  </main>`;
}

// Only paths of ours: "//elsewhere" and "https:" are other places.
function nextOf(query) {
  const next = query.get("next") ?? "";
  return /^\/(?![/\\])/.test(next) && !next.startsWith("/sign-in") ? next : "/";
}

function Password({ after }) {
  const { error, waiting, submit } = useForm((given) => send("POST", "/session", given), after);
  return html`<form onSubmit=${submit}>
    <h1>Sign in</h1>
    ${error ? html`<${Problem} error=${error} />` : null}
    <${Field} name="email" label="E-mail address" type="email" autocomplete="username" required autofocus />
    <${Field} name="password" label="Password" type="password" autocomplete="current-password" required />
    <p><button type="submit" class="main" disabled=${waiting}>Sign in</button></p>
    <p class="quiet">First time, or forgotten? The gateway printed a link on its first start;${" "}
      <code>majordomo users link ADDRESS</code> makes another.</p>
  </form>`;
}

function NewPassword({ link, after, otherwise }) {
  const { error, waiting, submit } = useForm((given) => send("POST", "/session/link", { link, ...given }), after);
  return html`<form onSubmit=${submit}>
    <h1>Welcome</h1>
    <p class="quiet">Your link is good for one sign-in. Choose the password for the ones to come.</p>
    ${error ? html`<${Problem} error=${error} />` : null}
    <${Field} name="email" label="E-mail address" type="email" autocomplete="username" hint="What you will sign in with. Left empty, it stays the one that the link was made for." />
    <${Field} name="name" label="Name" autocomplete="name" hint="Optional." />
    <${Field} name="password" label="New password" type="password" autocomplete="new-password" minlength=${LEAST_PASSWORD} required hint=${`At least ${LEAST_PASSWORD} characters.`} />
    <p><button type="submit" class="main" disabled=${waiting}>Set password and sign in</button>
      <button type="button" class="plain" onClick=${otherwise}>I have a password</button></p>
  </form>`;
}
