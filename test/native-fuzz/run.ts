// The campaign: random calls over the bound operators (no crash allowed) and over all other schemas (no crash that
// PyTorch survives). usage: npm run test:native-fuzz [-- --calls 20000 --seed 1 --group bound|others --only NAME]
// writes results/native-crashes.json
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import fc from "fast-check";
import { writeAside } from "../../src/runtime/write.js";
import { engineInfo, packageRoot, schemas } from "../../src/torch/index.js";
import { loadEngine } from "../../src/torch/native.js";
import { type CallSpec, callsOf } from "./calls.js";
import { type Ending, performAll, replay } from "./processes.js";

const { values: options } = parseArgs({
  options: {
    calls: { type: "string", default: "20000" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    group: { type: "string" },
  },
});
const [total, seed] = [Number(options.calls), Number(options.seed)];
const batch = 500;

/** They read or write files by design, or wait for something that never comes. */
const excluded = new Set(["aten::from_file.", "aten::from_file.out", "aten::_debug_has_internal_overlap."]);

/** The operators that the bindings use, as the dispatcher names them. */
const boundNames = new Set(
  readFileSync(join(packageRoot(), "scripts/bound-operators.txt"), "utf8")
    .trim()
    .split("\n")
    .map((name) => `aten::${name.includes(".") ? name : `${name}.`}`),
);
const all = loadEngine()
  .operatorNames()
  .filter((name) => name.startsWith("aten::"))
  .map((name) => (name.includes(".") ? name : `${name}.`))
  .filter((name) => !excluded.has(name) && (options.only === undefined || name === options.only))
  .filter((name) => options.group === undefined || boundNames.has(name) === (options.group === "bound"))
  .sort();
const drawable = new Map(
  all.flatMap((name) => [[name, callsOf(name, schemas(name)[0]!)] as const]).filter(([, calls]) => calls !== undefined),
);
const names = {
  bound: [...drawable.keys()].filter((name) => boundNames.has(name)),
  others: [...drawable.keys()].filter((name) => !boundNames.has(name)),
};

/** Half of the calls go to bound operators; every operator is taken in turn. */
function callAt(index: number): CallSpec {
  const group = names.others.length === 0 || (index % 2 === 0 && names.bound.length > 0) ? names.bound : names.others;
  const name = group[Math.floor(index / 2) % group.length]!;
  return fc.sample(drawable.get(name)!, { seed: seed * 1_000_003 + index, numRuns: 1 })[0]!;
}

interface Crash {
  readonly index: number;
  readonly bound: boolean;
  readonly operator: string;
  readonly call: CallSpec;
  readonly ours: Ending;
  /** The same call alone in a new process: a call may fall over what an earlier one broke. */
  readonly alone: Ending;
  readonly pytorch: Ending | "absent";
}

const tally = { returned: 0, refused: 0, timeout: 0, crashed: 0 };
const crashes: Crash[] = [];
const timeouts: string[] = [];
for (let from = 0; from < total; ) {
  const calls = Array.from({ length: Math.min(batch, total - from) }, (_, i) => ({
    index: from + i,
    call: callAt(from + i),
  }));
  const { outcomes, log } = await performAll(calls);
  if (outcomes.length === 0) throw new Error(`the child performed nothing: ${log}`);
  for (const { index, ending } of outcomes) {
    if (typeof ending === "string") tally[ending]++;
    else {
      tally.crashed++;
      const call = callAt(index);
      const alone = (await performAll([{ index, call }])).outcomes[0]!.ending;
      const crash = {
        index,
        bound: boundNames.has(call.operator),
        operator: call.operator,
        call,
        ours: ending,
        alone,
        pytorch: replay(call) ?? ("absent" as const),
      };
      crashes.push(crash);
      console.error(`crash at ${index}: ${JSON.stringify(crash)}`);
    }
    if (ending === "timeout") timeouts.push(callAt(index).operator);
  }
  from = outcomes.at(-1)!.index + 1;
  console.error(`${from} of ${total}: ${JSON.stringify(tally)}`);
}

const died = (ending: Ending | "absent") => typeof ending === "object";
const ofBound = crashes.filter(({ bound }) => bound);
const onlyOurs = crashes.filter(({ bound, pytorch }) => !bound && !died(pytorch) && pytorch !== "absent");
const report = {
  command: `npm run test:native-fuzz -- --calls ${total} --seed ${seed}`,
  date: new Date().toISOString().slice(0, 10),
  libtorch: engineInfo().version,
  node: process.version,
  commit: execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim(),
  operators: { bound: names.bound.length, others: names.others.length, notDrawable: all.length - drawable.size },
  calls: tally,
  timeouts: [...new Set(timeouts)],
  boundCrashes: ofBound,
  crashesThatPyTorchSurvives: onlyOurs,
  crashesOfPyTorchToo: crashes.filter(({ bound, pytorch }) => !bound && died(pytorch)),
};
const text = JSON.stringify(report, null, 2);
if (options.only === undefined)
  await writeAside(join(packageRoot(), "results/native-crashes.json"), new TextEncoder().encode(`${text}\n`));
console.log(
  `${total} calls: ${JSON.stringify(tally)}; crashes of bound operators ${ofBound.length}, that PyTorch survives ${onlyOurs.length}, of PyTorch too ${report.crashesOfPyTorchToo.length}`,
);
process.exitCode = ofBound.length > 0 || onlyOurs.length > 0 ? 1 : 0;
