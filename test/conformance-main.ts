// npm run test:conformance: every model of ONNX's conformance data in the interpreter; prints the counts and the rest,
// writes results/conformance.json.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { arch, cpus, platform } from "node:os";
import { engineInfo } from "../src/torch/index.js";
import { conformance, type Verdict } from "./conformance.js";
import { noTestdata, testCases } from "./onnx-testdata.js";

const least = 590;
const cases = testCases();
if (cases.length === 0) {
  console.log(`skipped: ${noTestdata}`);
  process.exit(0);
}
const verdicts = await conformance(cases);
const required = verdicts.filter(({ beyond }) => beyond === undefined);
const count = (list: readonly Verdict[], outcome: Verdict["outcome"]) =>
  list.filter((one) => one.outcome === outcome).length;
const matched = count(required, "matched");
const further = verdicts.filter(({ beyond }) => beyond !== undefined);
console.log(
  `${required.length} models use only the operators and types that must work: ${matched} match, ${required.length - matched} do not`,
);
console.log(
  `of the ${further.length} others, ${count(further, "matched")} match and ${count(further, "refused")} are refused by name`,
);
const rest = required.filter(({ outcome }) => outcome !== "matched");
for (const { name, outcome, reason } of rest) console.log(`  ${name}: ${outcome}: ${reason}`);
const wrong = further.filter(({ outcome }) => outcome !== "matched" && outcome !== "refused");
for (const { name, outcome, reason, beyond } of wrong) console.log(`  (${beyond}) ${name}: ${outcome}: ${reason}`);

const summary = {
  command: "npm run test:conformance",
  data: testdataVersion(),
  tolerance: { relative: 1e-3, absolute: 1e-5 },
  node: process.version,
  libtorch: engineInfo().version,
  machine: `${cpus()[0]?.model.trim()}, ${platform()} ${arch()}`,
  models: verdicts.length,
  required: { models: required.length, matched },
  others: { models: further.length, matched: count(further, "matched"), refused: count(further, "refused") },
  notMatched: rest.map(({ name, outcome, reason }) => ({ name, outcome, reason })),
  othersWrong: wrong.map(({ name, outcome, reason, beyond }) => ({ name, outcome, reason, beyond })),
  othersRefused: further
    .filter(({ outcome }) => outcome === "refused")
    .map(({ name, beyond }) => ({ name, reason: beyond })),
};
mkdirSync("results", { recursive: true });
writeFileSync("results/conformance.json", `${JSON.stringify(summary, null, 1)}\n`);
if (matched < least || count(verdicts, "crashed") > 0) {
  console.error(`expected at least ${least} to match and none to crash`);
  process.exit(1);
}

function testdataVersion(): string {
  try {
    const output = execFileSync("dpkg-query", ["--show", "libonnx-testdata"], { encoding: "utf8", stdio: "pipe" });
    return output.trim().replace("\t", " ");
  } catch {
    return "libonnx-testdata";
  }
}
