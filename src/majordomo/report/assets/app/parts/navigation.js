// The head of every page: name, pages, theme, who is signed in.
import { html, useState } from "../ui.js";
import { pages } from "../pages.js";
import { end } from "../session.js";
import { areOn, turn } from "../shortcuts.js";
import { hrefTo } from "../state.js";
import { Menu } from "./menu.js";

const of = (group) => pages.filter((page) => page.group === group);

export function Navigation({ current, session }) {
  const link = (page) => html`<a key=${page.path} href=${hrefTo(page.path)} aria-current=${page.path === current ? "page" : undefined}>${page.title}</a>`;
  const managed = of("manage");
  return html`<header class="top">
    <div class="top-inside">
      <a class="brand" href="/"><img src="/assets/icon.svg" alt="" width="22" height="22" />Majordomo</a>
      <nav class="pages" aria-label="Pages">
        ${of("look").map(link)}
        ${managed.length ? html`<${Menu} label=${managed.find((page) => page.path === current)?.title ?? "Manage"} className=${managed.some((page) => page.path === current) ? "here" : ""}>${managed.map(link)}<//>` : null}
      </nav>
      <div class="top-end">
        <${Menu} className="phone-pages" label=${"Pages"}>${of("look").map(link)}${managed.map(link)}<//>
        <${ThemeButton} />
        <${Who} session=${session} />
      </div>
    </div>
  </header>`;
}

function Who({ session }) {
  if (!session) return null;
  const { user } = session;
  const initial = (user.name || user.email).trim().slice(0, 1).toUpperCase();
  return html`<${Menu} label=${html`<span class="initial" aria-hidden="true">${initial}</span>`} name=${`Signed in as ${user.name}`} align="right">
    <p class="who"><strong>${user.name}</strong><br />${user.email}<br /><span class="quiet">${user.role}</span></p>
    <${Shortcuts} />
    <button type="button" class="menu-item" onClick=${end}>Sign out</button>
  <//>`;
}

function Shortcuts() {
  const [on, set] = useState(areOn());
  const change = () => {
    turn(!on);
    set(!on);
  };
  return html`<button type="button" class="menu-item" role="switch" aria-checked=${on ? "true" : "false"} onClick=${change}><span>Keyboard shortcuts</span><span class="quiet">${on ? "on" : "off"}</span></button>`;
}

// One press turns to the other theme; a second press goes back to the system's own.
function ThemeButton() {
  const root = document.documentElement;
  const [theme, set] = useState(root.dataset.theme ?? "");
  const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const turn = () => {
    const next = theme ? "" : dark ? "light" : "dark";
    if (next) root.dataset.theme = next;
    else delete root.dataset.theme;
    try {
      if (next) localStorage.setItem("majordomo-theme", next);
      else localStorage.removeItem("majordomo-theme");
    } catch {
      // not remembered where storage is switched off
    }
    set(next);
    dispatchEvent(new Event("themechange"));
  };
  const word = dark ? "Light theme" : "Dark theme";
  return html`<button type="button" class="icon-button" aria-label=${word} title=${word} onClick=${turn}>
    <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true"><circle cx="10" cy="10" r="7" fill="none" stroke="currentColor" stroke-width="1.6" /><path d="M10 3a7 7 0 0 1 0 14z" fill="currentColor" /></svg>
  </button>`;
}
