// How a request ended, in a word or two and a mark that is not only a colour.
import { html } from "../ui.js";

// Whether it counts as an error: as the API counts.
export function isFailed({ status_code: status, outcome }) {
  return status >= 400 || ["provider_broke", "refused", "gateway_stopped", "lost"].includes(outcome);
}

// `request`: with status_code, outcome, error_type.
export function Ending({ request }) {
  const failed = isFailed(request);
  const word = request.outcome === "completed" ? "" : request.outcome.replaceAll("_", " ");
  return html`<span class=${failed ? "ending failed" : "ending"}>
    <span aria-hidden="true">${failed ? "✕" : request.outcome === "completed" ? "✓" : "–"}</span>
    <span>${request.status_code ?? "no reply"} ${(request.error_type ?? word).replaceAll("_", " ")}</span>
  </span>`;
}
