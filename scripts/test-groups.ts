// Trainings by several processes, started as launchers start them, on one machine and on two hosts (network namespaces
// with a link between); and what may go wrong: each ends in a typed error on every rank within the timeout, and goes on
// bit for bit. Usage: npm run test:groups [-- --kills 20 --seed 1 --only NAME]. Needs the built program and the engine;
// root for hosts.
import { rmSync, writeFileSync } from "node:fs";
import { cpus, hostname } from "node:os";
import { engineInfo } from "../src/torch/index.js";
import { hosts } from "./groups/hosts.js";
import { killed } from "./groups/kills.js";
import { launchers, mpirun, torchrun } from "./groups/launchers.js";
import { allKilled, otherNumber, wrongStarts } from "./groups/starts.js";
import { checks, kills, measureStart, now, root, seed, skipped, timeout, values } from "./groups/suite.js";

const suites = { launchers, mpirun, torchrun, wrongStarts, otherNumber, allKilled, hosts, killed };
const started = performance.now();
for (const [name, run] of Object.entries(suites)) {
  if (values.only !== undefined && values.only !== name) continue;
  now.suite = name;
  await measureStart();
  await run();
}
rmSync(root, { recursive: true, force: true });
const failures = checks.filter(({ good }) => !good).length;
const engine = engineInfo();
const record = {
  ...{ seed, kills, timeoutSeconds: timeout, seconds: Math.round((performance.now() - started) / 1000) },
  machine: { host: hostname().replace(/[0-9a-f]{8,}/g, "host"), processor: cpus()[0]?.model, cores: cpus().length },
  versions: { node: process.version, libtorch: engine.version },
  ...{ passed: checks.length - failures, failures, skipped, checks },
};
if (values.only === undefined) writeFileSync(values.out, `${JSON.stringify(record, null, 2)}\n`);
console.log(`${checks.length - failures} of ${checks.length} hold`);
process.exit(failures === 0 ? 0 : 1);
