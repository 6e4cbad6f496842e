// What is said of a gateway key when it is made or changed.
import { html } from "../ui.js";
import { asLines, Choice, Lines, pairs } from "../parts/choice.js";
import { Field } from "../parts/field.js";

const HANGUP = [
  ["", "As the gateway's setting says"],
  ["drain", "Read the reply on for its exact usage (drain)"],
  ["cut", "Cut the provider's reply off (cut)"],
];

// `of`: the key that is changed; nothing for a new one.
export function KeyFields({ of = {} }) {
  return html`
    <${Field} name="name" label="Name" required maxlength="255" value=${of.name ?? ""} hint="Who or what uses it: a team, an application, a person." />
    <${Field} name="description" label="Description" value=${of.description ?? ""} />
    <${Lines} name="metadata" label="Metadata of every request" value=${asLines(of.metadata)} hint="Name=value, one a line: Team=legal. It stands above whatever the callers say." />
    <${Choice} name="on_hangup" label="When a caller hangs up" choices=${HANGUP} value=${of.on_hangup ?? ""} />
  `;
}

// The body that the API takes, of the fields as they were typed.
export function keyBody(given, { change = false } = {}) {
  return {
    name: given.name,
    ...(given.description || change ? { description: given.description ?? null } : {}),
    ...(given.on_hangup || change ? { on_hangup: given.on_hangup ?? null } : {}),
    metadata: pairs(given.metadata),
  };
}
