// What a new user sees instead of empty panels: the lines to paste.
import { html } from "../ui.js";
import { isAdmin } from "../session.js";
import { claudeSettings } from "../keys/use.js";
import { Code } from "../parts/copy.js";
import { Panel } from "../parts/panel.js";

const curl = (base) => `export MAJORDOMO_KEY=mdm_sk_...
curl ${base}/v1/chat/completions \\
  -H "Authorization: Bearer $OPENAI_API_KEY" \\
  -H "X-Majordomo-Key: $MAJORDOMO_KEY" \\
  -H "X-Majordomo-Feature: first-steps" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Say hello."}]}'`;

const python = (base) => `from openai import OpenAI

client = OpenAI(
    base_url="${base}/v1",
    default_headers={"X-Majordomo-Key": "mdm_sk_...", "X-Majordomo-Feature": "first-steps"},
)`;

export function FirstSteps({ session }) {
  const base = location.origin;
  return html`<div class="stack">
    <${Panel} title="No request has come yet">
      <p>Send one through the gateway, and it is here within a second. It takes a <b>gateway key</b>: the first start printed
        one; ${isAdmin(session) ? html`<a href="/keys">Gateway keys</a> makes another.` : "an admin of your organisation makes others."}${" "}
        Your provider's own key goes where it always went.</p>
    <//>
    <div class="grid">
      <${Panel} title="From a terminal"><${Code} text=${curl(base)} label="curl line" /><//>
      <${Panel} title="Claude Code: ~/.claude/settings.json"><${Code} text=${claudeSettings("mdm_sk_...")} label="Settings of Claude Code" /><//>
      <${Panel} title="Python"><${Code} text=${python(base)} label="Python client" /><//>
      <${Panel} title="Then">
        <p>Every <code>X-Majordomo-Something</code> header becomes metadata, and metadata is what you slice by here:${" "}
          <code>X-Majordomo-Team</code>, <code>X-Majordomo-Feature</code>, <code>X-Majordomo-User-Id</code>.</p>
      <//>
    </div>
  </div>`;
}
