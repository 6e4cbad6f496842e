// Reads every module of the dashboard and binds their imports to each other, as a browser does, without running any.
// node --experimental-vm-modules link_modules.mjs FOLDER: prints how many, or what does not fit.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import vm from "node:vm";

const root = resolve(process.argv[2]);
const modules = new Map();

function module(path) {
  if (!modules.has(path)) {
    const name = relative(root, path);
    modules.set(path, new vm.SourceTextModule(readFileSync(path, "utf8"), { identifier: name }));
  }
  return modules.get(path);
}

const paths = readdirSync(join(root, "app"), { recursive: true })
  .filter((name) => name.endsWith(".js"))
  .map((name) => join(root, "app", name));
const problems = [];
for (const path of paths) {
  try {
    const one = module(path);
    if (one.status === "unlinked") {
      await one.link((wanted, from) => module(resolve(root, dirname(from.identifier), wanted)));
    }
  } catch (fault) {
    problems.push(`${relative(root, path)}: ${fault.message}`);
  }
}
for (const problem of problems) console.error(problem);
console.log(paths.length);
process.exit(problems.length ? 1 : 0);
