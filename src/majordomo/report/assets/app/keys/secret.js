// The one time that a key's secret is shown, with what to do with it.
import { html } from "../ui.js";
import { Code } from "../parts/copy.js";
import { Dialog } from "../parts/dialog.js";
import { claudeSettings } from "../keys/use.js";

// `made`: the API's answer, with `key`.
export function Secret({ made, onClose }) {
  return html`<${Dialog} title=${`The secret of ${made.name}`} onClose=${onClose}>
    <div class="dialog-body">
      <p>Copy it now: the gateway keeps only its SHA-256, and nobody can show it again.</p>
      <${Code} text=${made.key} label="Secret" />
      <h3>Claude Code, in ~/.claude/settings.json</h3>
      <${Code} text=${claudeSettings(made.key)} label="Settings of Claude Code" />
      <footer><button type="button" class="main" onClick=${onClose}>I have copied it</button></footer>
    </div>
  <//>`;
}
