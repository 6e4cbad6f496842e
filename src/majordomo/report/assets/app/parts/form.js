// A form's life: what was typed goes to the API, what is wrong stays to be corrected.
import { html, useState } from "../ui.js";
import { Problem } from "./problem.js";

// `ask(given)`: gets the fields that are not empty, by name, and returns a promise; `after(answer)`: once it went well.
// Gives { error, waiting, submit }.
export function useForm(ask, after) {
  const [state, set] = useState({ error: null, waiting: false });
  const submit = async (event) => {
    event.preventDefault();
    const given = Object.fromEntries([...new FormData(event.currentTarget)].filter(([, value]) => value !== ""));
    set({ error: null, waiting: true });
    try {
      const answer = await ask(given);
      set({ error: null, waiting: false });
      after(answer);
    } catch (error) {
      set({ error, waiting: false });
    }
  };
  return { ...state, submit };
}

// A form of a dialog: its fields, what went wrong, and two buttons. `verb`: what sending it does.
export function Form({ ask, after, onClose, verb, danger = false, children }) {
  const { error, waiting, submit } = useForm(ask, after);
  return html`<form onSubmit=${submit}>
    ${error ? html`<${Problem} error=${error} />` : null}
    ${children}
    <footer>
      <button type="button" onClick=${onClose}>Cancel</button>
      <button type="submit" class=${danger ? "danger" : "main"} disabled=${waiting}>${verb}</button>
    </footer>
  </form>`;
}
