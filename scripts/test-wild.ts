// Real networks from public repositories, each command on each: what it wrote, how much of the budget is left, how far
// the outputs are, milliseconds of both files in turns, bytes, memory. results/wild.json, docs/wild.md, and the broken
// promises.
//
//   npm run test:wild                      what is missing in results/wild.json
//   npm run test:wild -- --only 'candy'    rows whose "network operation" matches the pattern, measured again
//   npm run test:wild -- --fresh           everything again
//   npm run test:wild -- --quick           three small networks, few rounds; nothing is kept
//   npm run test:wild -- --page            only docs/wild.md again
//
// The exit code is 1 where a promise is broken. Needs a build and the shared reference data.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { describeMachine } from "../src/runtime/machine.js";
import { runtimeVersion } from "../src/runtime/session.js";
import { writeAside } from "../src/runtime/write.js";
import { cache, program } from "./wild/command.js";
import { examine, outputOf, type Subject } from "./wild/examine.js";
import type { Effort } from "./wild/measure.js";
import { sources, type WildModel, wildModels } from "./wild/models.js";
import { type Operation, operations } from "./wild/operations.js";
import { violationLines, wildPage } from "./wild/page.js";
import { readTable, rowOf, type Table, withFacts, withRow, writeTable } from "./wild/store.js";
import { subjectOf } from "./wild/subject.js";

const options = {
  only: { type: "string" },
  quick: { type: "boolean", default: false },
  fresh: { type: "boolean", default: false },
  page: { type: "boolean", default: false },
  results: { type: "string" },
} as const;
const { values } = parseArgs({ options });
const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, ".cache", values.quick ? "wild-quick" : "wild");
const quickNames = new Set(["burn_conv2d_asym", "mlperf_kws_f32", "resnet20-bn"]);
const resultFile = values.results ?? (values.quick ? join(folder, "wild.json") : join(root, "results", "wild.json"));
const pageFile =
  values.quick || values.results !== undefined
    ? `${resultFile.replace(/\.json$/, "")}.md`
    : join(root, "docs", "wild.md");
const effort: Effort = values.quick
  ? { seconds: 1, leastRounds: 5, mostRounds: 41 }
  : { seconds: 6, leastRounds: 15, mostRounds: 201 };
const commit = execFileSync("git", ["describe", "--always", "--dirty"], { cwd: root, encoding: "utf8" }).trim();
const names = operations.map(({ name }) => name);

const conditions = async (): Promise<Partial<Table>> => ({
  command: "npm run test:wild",
  date: new Date().toISOString(),
  commit,
  machine: describeMachine(),
  onnxruntime: await runtimeVersion("node"),
  filterbasis: JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version,
  threads: 1,
  seed: 1,
  effort,
});

/** Whether a row is to be measured: asked for by name, or missing. */
function isWanted(table: Table, { name }: WildModel, operation: Operation): boolean {
  if (values.only !== undefined) return new RegExp(values.only).test(`${name} ${operation.name}`);
  return values.fresh || values.quick || rowOf(table, name, operation.name) === undefined;
}

async function measure(table: Table, model: WildModel, wanted: readonly Operation[]): Promise<Table> {
  const source = sources().get(model.name) ?? "the reference data of this project";
  const subject = await subjectOf(model, { effort, commit, source, folder });
  let now = withFacts(table, subject.facts);
  for (const operation of [...filesNeeded(subject, wanted), ...wanted]) {
    const row = await examine(subject, operation);
    now = withRow(now, row, names);
    await writeTable(resultFile, { ...now, ...(await conditions()) });
    process.stderr.write(`${model.name} ${operation.name}: ${row.outcome}, ${row.seconds} s\n`);
    for (const { kind, what } of row.violations) process.stderr.write(`    ${kind}: ${what}\n`);
  }
  return now;
}

/** To undo a compression its file must be there: rows of an earlier run may have lost theirs. */
function filesNeeded(subject: Subject, wanted: readonly Operation[]): readonly Operation[] {
  if (!wanted.some(({ input }) => input === "compressed")) return [];
  const compressions = operations.filter(({ kind }) => kind === "budget");
  if (compressions.some(({ name }) => existsSync(outputOf(subject, name)))) return [];
  return compressions.filter((operation) => !wanted.includes(operation)).slice(0, 1);
}

async function main(): Promise<void> {
  let table: Table = values.fresh || values.quick ? { models: [], rows: [] } : readTable(resultFile);
  if (!values.page) {
    if (values.fresh) rmSync(cache, { recursive: true, force: true });
    if (!existsSync(program)) throw new Error("the command line is not built: npm run build");
    const models = wildModels().filter(({ name }) => !values.quick || quickNames.has(name));
    for (const model of models) {
      const wanted = operations.filter((operation) => isWanted(table, model, operation));
      if (wanted.length > 0) table = await measure(table, model, wanted);
    }
    table = readTable(resultFile);
  }
  await writeAside(pageFile, new TextEncoder().encode(wildPage(table)));
  const broken = violationLines(table);
  console.log([...broken, `${table.rows.length} rows, ${broken.length} broken promises`].join("\n"));
  process.exitCode = broken.length > 0 ? 1 : 0;
}

await main();
