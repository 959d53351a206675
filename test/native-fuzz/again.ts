// Replays the crashes that results/native-crashes.json lists, here and in PyTorch, and sorts them anew: after a mend,
// or with another PyTorch. usage: npx tsx test/native-fuzz/again.ts
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeAside } from "../../src/runtime/write.js";
import { packageRoot } from "../../src/torch/index.js";
import type { CallSpec } from "./calls.js";
import { type Ending, performAll, replay } from "./processes.js";

interface Listed {
  readonly index: number;
  readonly operator: string;
  readonly call: CallSpec;
}

const file = join(packageRoot(), "results/native-crashes.json");
const report = JSON.parse(readFileSync(file, "utf8")) as Record<
  "crashesThatPyTorchSurvives" | "crashesOfPyTorchToo",
  Listed[]
>;
const died = (ending: Ending | "absent") => typeof ending === "object";
const crashes: (Listed & { alone: Ending; pytorch: Ending | "absent" })[] = [];
for (const listed of [...report.crashesThatPyTorchSurvives, ...report.crashesOfPyTorchToo]) {
  const alone = (await performAll([{ index: listed.index, call: listed.call }])).outcomes[0]!.ending;
  crashes.push({ ...listed, alone, pytorch: replay(listed.call) ?? "absent" });
  console.log(`${listed.operator}: here ${JSON.stringify(alone)}, PyTorch ${JSON.stringify(crashes.at(-1)!.pytorch)}`);
}
const sorted = {
  ...report,
  replayedAgain: new Date().toISOString().slice(0, 10),
  crashesThatPyTorchSurvives: crashes.filter(({ alone, pytorch }) => died(alone) && !died(pytorch)),
  crashesOfPyTorchToo: crashes.filter(({ pytorch }) => died(pytorch)),
};
await writeAside(file, new TextEncoder().encode(`${JSON.stringify(sorted, null, 2)}\n`));
process.exitCode = sorted.crashesThatPyTorchSurvives.length > 0 ? 1 : 0;
