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
  { path: "/claude-code", title: "Claude Code", group: "look", load: () => import("./pages/claude_code.js") },
  { path: "/claude-code/:id", title: "Claude Code session", group: "none", load: () => import("./pages/claude_session.js") },
  { path: "/budgets", title: "Budgets", group: "manage", load: () => import("./pages/budgets.js") },
  { path: "/budgets/:id", title: "Budget", group: "none", load: () => import("./pages/budget.js") },
  { path: "/keys", title: "Gateway keys", group: "manage", load: () => import("./pages/keys.js") },
  { path: "/keys/:id", title: "Gateway key", group: "none", load: () => import("./pages/key.js") },
  { path: "/metadata-keys", title: "Metadata keys", group: "manage", load: () => import("./pages/metadata_keys.js") },
  { path: "/prices", title: "Prices", group: "manage", load: () => import("./pages/prices.js") },
  { path: "/prices/*", title: "Price of a model", group: "none", load: () => import("./pages/price.js") },
  { path: "/settings", title: "Settings", group: "manage", load: () => import("./pages/settings.js") },
  { path: "/sign-in", title: "Sign in", group: "none", open: true, load: () => import("./pages/sign_in.js") },
];
