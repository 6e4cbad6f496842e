// Runs before the first paint, so that a chosen theme does not flash: sets data-theme on <html>. No choice: the system's.
(() => {
  "use strict";
  try {
    const chosen = localStorage.getItem("majordomo-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // storage is switched off: the system's theme it is
  }
})();
