// Every page, once. `path` may end in a parameter: "/requests/:id" takes one part, "/runs/*" all that follows; both are
// given to the page as `props.params`. `group`: where the navigation has it (look, manage, none). A module is fetched when
// its page is first opened, and its default export is the page's component. README.md says how one is made.
export const pages = [
  { path: "/", title: "Overview", group: "look", load: () => import("./pages/overview.js") },
  { path: "/requests", title: "Requests", group: "look", load: () => import("./pages/requests.js") },
  { path: "/requests/:id", title: "Request", group: "none", load: () => import("./pages/request.js") },
  { path: "/runs", title: "Runs", group: "look", load: () => import("./pages/runs.js") },
  { path: "/runs/*", title: "Run", group: "none", load: () => import("./pages/run.js") },
  { path: "/errors", title: "Errors", group: "look", load: () => import("./pages/errors.js") },
  { path: "/latency", title: "Latency", group: "look", load: () => import("./pages/latency.js") },
  { path: "/what-if", title: "What if", group: "look", load: () => import("./pages/what_if.js") },
  { path: "/sign-in", title: "Sign in", group: "none", open: true, load: () => import("./pages/sign_in.js") },
];
