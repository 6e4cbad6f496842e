// Where a run is shown. Ids that no address can hold as a part of its path lead to their requests instead.
import { write } from "../filters.js";
import { hrefTo } from "../state.js";

export function runHref(run) {
  if (run === "" || run === "." || run === "..") return hrefTo("/requests", { filter: write({ dimension: "run", value: run }) });
  return hrefTo(`/runs/${encodeURIComponent(run)}`);
}
