// Budgets in words: amounts in their unit, windows, scopes.
import { count, money } from "../format.js";

const UNITS = {
  usd: "USD",
  tokens: "tokens",
  input_tokens: "input tokens",
  output_tokens: "output tokens",
  requests: "requests",
  turns: "turns",
  concurrent: "at one time",
};

export const UNIT_CHOICES = Object.entries(UNITS);

// "$12.50", "1,200 tokens"; `text` is decimal text.
export function amount(text, unit) {
  if (text === null || text === undefined) return "–";
  return unit === "usd" ? money(text) : `${count(Number(text))} ${UNITS[unit] ?? unit}`;
}

// "per month, Europe/Berlin", "in any 24h", "per session"
export function windowWords({ window, time_zone: zone, unit }) {
  if (unit === "concurrent") return "at one time";
  if (window.startsWith("rolling:")) return `in any ${window.slice(8)}`;
  if (window === "session") return "per session";
  if (window === "lifetime") return "for ever";
  return `per ${window}${zone === "UTC" ? "" : `, ${zone}`}`;
}

// What a budget is about: [[what, value]]; empty for all of the organisation.
export function scopeParts(budget, nameOfKey = (id) => id) {
  return [
    ...budget.keys.map((id) => ["key", nameOfKey(id)]),
    ...Object.entries(budget.metadata),
    ...budget.models.map((one) => ["model", one]),
    ...budget.providers.map((one) => ["provider", one]),
    ...budget.sessions.map((one) => ["session", one]),
    ...(budget.each ? [["each", budget.each]] : []),
  ];
}

export function scopeWords(budget, nameOfKey) {
  const parts = scopeParts(budget, nameOfKey);
  return parts.length ? parts.map(([what, value]) => `${what}: ${value}`).join(", ") : "everything";
}

// How a budget or a count of one stands: "paused", "spent", "near", "fine".
export function state(budget) {
  if (budget.paused) return "paused";
  const used = percentUsed(budget);
  return used >= 100 ? "spent" : used >= 80 ? "near" : "fine";
}

export function percentUsed({ spent, reserved, limit }) {
  return Number(limit) ? ((Number(spent) + Number(reserved)) / Number(limit)) * 100 : 0;
}
