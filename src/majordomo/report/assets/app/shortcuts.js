// Keys that act on their own: d for today, f for a filter. They can be switched off, for whoever speaks to the computer or
// hits keys by accident; the choice stays in this browser.
const STORED = "majordomo-shortcuts";

export function areOn() {
  try {
    return localStorage.getItem(STORED) !== "off";
  } catch {
    return true;
  }
}

export function turn(on) {
  try {
    if (on) localStorage.removeItem(STORED);
    else localStorage.setItem(STORED, "off");
  } catch {
    // not remembered where storage is switched off
  }
}

// The key of an event that is meant as a shortcut, else null: nothing is while somebody types or a dialog is open.
export function shortcut(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !areOn()) return null;
  return event.target.closest?.("input, select, textarea, dialog, [contenteditable]") ? null : event.key;
}
