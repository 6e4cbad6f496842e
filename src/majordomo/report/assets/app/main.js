// The frame around all pages: finds the page of the address, fetches its module, and renders it under the navigation.
import { html, render, useEffect, useErrorBoundary, useRef, useState } from "./ui.js";
import { match, useAddress } from "./router.js";
import { useSession } from "./session.js";
import { Empty } from "./parts/empty.js";
import { Navigation } from "./parts/navigation.js";
import { Problem } from "./parts/problem.js";
import { Toasts } from "./parts/toast.js";

const VERSION = document.querySelector("meta[name=majordomo-version]")?.content ?? "";

const loaded = new Map();

// A page's component, or null until its module is here. A module of a version that is gone reloads the document, once.
function useModule(page) {
  const [, again] = useState(0);
  useEffect(() => {
    if (!page || loaded.has(page.path)) return;
    page.load().then(
      (module) => {
        loaded.set(page.path, module.default);
        again((turn) => turn + 1);
      },
      () => reloadOnce(page.path),
    );
  }, [page]);
  return page ? (loaded.get(page.path) ?? null) : null;
}

function reloadOnce(path) {
  const mark = "majordomo-reloaded";
  try {
    if (sessionStorage.getItem(mark) === path) return;
    sessionStorage.setItem(mark, path);
  } catch {
    return;
  }
  location.reload();
}

function Frame() {
  const { path, query } = useAddress();
  const found = match(path);
  const page = found?.page ?? null;
  const session = useSession(!page?.open);
  const View = useModule(page);
  const section = `/${path.split("/")[1]}`;
  useEffect(() => {
    document.title = page ? (page.path === "/" ? "Majordomo" : `${page.title} · Majordomo`) : "Majordomo";
  }, [page]);
  const before = useRef(path);
  useEffect(() => {
    if (before.current === path) return;
    before.current = path;
    document.getElementById("content")?.focus({ preventScroll: true }); // what was followed is gone, and so would the focus
  }, [path]);
  if (page?.open) return html`${View ? html`<${View} query=${query} params=${found.params} />` : null}<${Toasts} />`;
  return html`
    <a class="skip" href="#content" onClick=${skip}>Skip to the contents</a>
    <${Navigation} current=${section} session=${session} />
    <main id="content" tabindex="-1">
      ${!page ? html`<h1 class="unseen">Not found</h1><${Empty} title="There is no such page"><p><a href="/">To the overview</a></p><//>` : null}
      ${View && session ? html`<${Guarded} key=${page.path + path}><${View} query=${query} params=${found.params} session=${session} /><//>` : null}
    </main>
    <footer class="foot"><span>Majordomo ${VERSION}</span><a href="/status">Status</a><a href="/api/v1/openapi.json">API</a></footer>
    <${Toasts} />
  `;
}

// A fault of one page leaves the navigation standing.
function Guarded({ children }) {
  const [fault, again] = useErrorBoundary((error) => console.error(error));
  if (!fault) return children;
  return html`<${Problem} error=${{ message: "This page has failed. That is a fault of the dashboard's own; the browser's console says more." }} retry=${again} />`;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("content").focus();
}

render(html`<${Frame} />`, document.getElementById("app"));
