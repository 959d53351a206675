// Never slower: `compress --speedup 1.2 --data ...` on real networks either writes a file that a second, independent
// timing finds faster, or says why nothing pays. results/pays.json, docs/pays.md.
//
//   npm run test:pays                     what is missing in results/pays.json
//   npm run test:pays -- --only 'candy'   networks whose name matches the pattern, again
//   npm run test:pays -- --speedup 1.5    another speed-up (rows of their own)
//   npm run test:pays -- --page           only docs/pays.md again
//
// The exit code is 1 where a written file is slower than promised. Needs a build and the shared reference data.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { cacheFolder } from "../src/runtime/cache-folder.js";
import { describeMachine } from "../src/runtime/machine.js";
import { runtimeVersion } from "../src/runtime/session.js";
import { writeAside } from "../src/runtime/write.js";
import { shared } from "../test/shared.js";
import { randomArrays, takesPictures } from "./pays/data.js";
import { brokenOf, type PaysTable, paysPage } from "./pays/page.js";
import { type PaysRow, payingRow } from "./pays/row.js";
import { readAnswer } from "./wild/answers.js";
import { program, runCommand } from "./wild/command.js";
import { runnableFeeds } from "./wild/feeds.js";
import { fetchedModels, ownModels, type WildModel, wildModels } from "./wild/models.js";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    speedup: { type: "string", default: "1.2" },
    threads: { type: "string", default: "1" },
    minutes: { type: "string", default: "20" },
    results: { type: "string" },
    page: { type: "boolean", default: false },
  },
});
const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, ".cache", "pays");
const resultFile = values.results ?? join(root, "results", "pays.json");
const pageFile = values.results === undefined ? join(root, "docs", "pays.md") : `${resultFile}.md`;
const speedup = Number(values.speedup);
const commit = execFileSync("git", ["describe", "--always", "--dirty"], { cwd: root, encoding: "utf8" }).trim();

const read = (): PaysTable =>
  existsSync(resultFile) ? (JSON.parse(readFileSync(resultFile, "utf8")) as PaysTable) : { rows: [] };

async function write({ rows }: PaysTable): Promise<void> {
  const table: PaysTable = {
    command: "npm run test:pays",
    date: new Date().toISOString(),
    machine: describeMachine(),
    onnxruntime: await runtimeVersion("node"),
    threads: Number(values.threads),
    seed: 0,
    rows: [...rows].sort((a, b) => (a.model === b.model ? a.speedup - b.speedup : a.model < b.model ? -1 : 1)),
  };
  await writeAside(resultFile, new TextEncoder().encode(`${JSON.stringify(table, null, 2)}\n`));
}

/** Networks that were trained on CIFAR-10 here or by others. */
const isClassifier = ({ name }: WildModel): boolean => /^(resnet(20|56)|vgg16-half)/.test(name);

/** The network's row, or undefined where ONNX Runtime does not run it. */
async function rowOf(model: WildModel): Promise<PaysRow | undefined> {
  const told = readAnswer((await runCommand(["inspect", model.path])).stdout).sizes;
  const found = await runnableFeeds(model, told);
  if ("why" in found) return undefined;
  const pictures = takesPictures(found.feeds[0]!);
  const photographs = shared("data/bsds500/train")!;
  const data = isClassifier(model)
    ? join(cacheFolder(), "cifar10")
    : pictures
      ? photographs
      : randomArrays(model.name, found.feeds[0]!, folder);
  const sizes = [...found.sizes].map(([name, dims]) => `${found.sizes.size > 1 ? `${name}=` : ""}${dims.join("x")}`);
  return payingRow({
    name: model.name,
    path: model.path,
    data,
    dataName: isClassifier(model) ? "CIFAR-10" : pictures ? "photographs (BSDS500 train)" : "random arrays",
    feeds: found.feeds.slice(-1),
    speedup,
    words: [
      ...["--threads", values.threads],
      ...(model.name.startsWith("resnet") ? ["--normalize", "imagenet"] : []),
      ...sizes.flatMap((size) => ["--input", size]),
    ],
    folder,
    commit,
    effort: { seconds: 8, leastRounds: 11, mostRounds: 101 },
    timeoutSeconds: 60 * Number(values.minutes),
  });
}

async function main(): Promise<void> {
  let table = read();
  if (!values.page) {
    if (!existsSync(program)) throw new Error("the command line is not built: npm run build");
    mkdirSync(folder, { recursive: true });
    const wanted = new RegExp(values.only ?? "");
    for (const model of [...wildModels(), ...fetchedModels(), ...ownModels()].filter(({ name }) => wanted.test(name))) {
      const isRow = (row: PaysRow) => row.model === model.name && row.speedup === speedup;
      if (values.only === undefined && table.rows.some(isRow)) continue;
      const row = await rowOf(model);
      if (row === undefined) continue;
      table = { ...table, rows: [...table.rows.filter((one) => !isRow(one)), row] };
      await write(table);
      process.stderr.write(`${model.name}: ${row.outcome}, ${row.seconds} s, ${row.peakMiB} MiB\n`);
    }
    table = read();
  }
  await writeAside(pageFile, new TextEncoder().encode(paysPage(table)));
  const broken = brokenOf(table);
  console.log([...broken, `${table.rows.length} rows, ${broken.length} broken promises`].join("\n"));
  process.exitCode = broken.length > 0 ? 1 : 0;
}

await main();
