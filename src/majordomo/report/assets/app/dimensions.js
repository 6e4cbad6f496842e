// What usage can be grouped and filtered by, asked once for all pages: GET /usage/dimensions.
import { useAnswer } from "./api.js";

const WORDS = {
  provider: "Provider",
  model: "Model",
  key: "Gateway key",
  status: "Status",
  outcome: "Outcome",
  error_type: "Error type",
  client: "Client",
  query_class: "Claude Code class",
  session: "Claude Code session",
  run: "Run",
};

// What people call a dimension.
export function words(name) {
  return WORDS[name] ?? name.replace(/^metadata\./, "");
}

// [{ name, label, is_metadata, is_active, values, requests, last_seen_at }]; [] until they are known.
export function useDimensions() {
  return useAnswer("/usage/dimensions").answer?.dimensions ?? [];
}
