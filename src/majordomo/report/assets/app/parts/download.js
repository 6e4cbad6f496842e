// What the page is about as a file: GET /usage/export with the same period and filters.
import { html } from "../ui.js";
import { words } from "../dimensions.js";
import { asking } from "../state.js";
import { Menu } from "./menu.js";

const FORMATS = [
  ["csv", "Requests, CSV"],
  ["parquet", "Requests, Parquet"],
  ["focus", "FOCUS 1.2, CSV"],
  ["focus-parquet", "FOCUS 1.2, Parquet"],
];

// `by`: dimensions whose sums are offered, too.
export function Download({ query, by = [] }) {
  const link = (more) => `/api/v1/usage/export?${asking(query, more)}`;
  return html`<${Menu} label="Download" align="right">
    ${FORMATS.map(([format, label]) => html`<a key=${format} href=${link({ format })} download>${label}</a>`)}
    ${by.map((one) => html`<a key=${`by ${one}`} href=${link({ format: "csv", group_by: one })} download>Sums by ${words(one)}, CSV</a>`)}
  <//>`;
}
