// How the time of one request went: up to the first byte of the reply, and from there to its last.
import { html } from "../ui.js";
import { duration, moment } from "../format.js";
import { Facts } from "../parts/facts.js";

export function Timing({ request, zone }) {
  const { response_time_ms: whole, time_to_first_byte_ms: first, output_tokens: output } = request;
  const streaming = whole !== null && first !== null ? whole - first : null;
  const rate = streaming > 0 && output && request.streamed ? `${Math.round((output / streaming) * 1000)} tokens/s` : null;
  return html`
    ${whole && first !== null
      ? html`<svg class="timing" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
          <rect width=${(100 * first) / whole} height="4" class="fill-s5" /><rect x=${(100 * first) / whole} width=${(100 * streaming) / whole} height="4" class="fill-s1" />
        </svg>`
      : null}
    <${Facts} facts=${[
      ["Began", moment(request.requested_at, zone)],
      ["To the first byte", first === null ? null : duration(first)],
      [request.streamed ? "Streaming" : "The rest", streaming === null ? null : `${duration(streaming)}${rate ? `, ${rate}` : ""}`],
      ["In all", whole === null ? null : duration(whole)],
    ]} />`;
}
