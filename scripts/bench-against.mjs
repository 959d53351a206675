// Runs benchmarks of two checkouts in turns and prints, for every row that both have, how much longer this one takes
// than the other: a process at a time, the order changing from round to round. The other checkout needs its packages
// and its native addon. Results that the benchmarks write in their own folders are put back as they were.
//
// usage: node scripts/bench-against.mjs OTHER_CHECKOUT [--bench engine,interpreter,training] [--rounds 3] [--processor]
// [--write NAME]
//   --processor  counts the processor's time, for machines that are not quiet; of one thread, so on one core
//   --write NAME writes results/NAME.json; times of the same two commits that are there already are added to
// What disturbs a measurement makes it longer: the ratio is that of the shortest times.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const own = (name, value) => [name, value];
const named = (rows, value = (row) => row.ours) => rows.map((row) => own(row.name, value(row)));
/** A layer's or a network's times in ONNX Runtime: the file that came in, the chosen layout, and each layout. */
const formerly = { separate: "split", folded: "batch-folded" };
const layouts = (name, { original, chosen, layouts, forms }) => [
  ...[own(`${name}: original`, original), own(`${name}: chosen`, chosen)],
  ...Object.entries(layouts ?? forms).map(([layout, ms]) => own(`${name}: ${formerly[layout] ?? layout}`, ms)),
];
const planning = ({ name, keepParams, seconds }) => own(`${name} at ${keepParams}`, seconds);

/**
 * Each benchmark: its file, which is called differently in older checkouts, as its result may be; its arguments;
 * its rows as [name, time], by which the two are compared.
 */
const benches = {
  engine: {
    files: ["engine.ts"],
    result: "bench-engine",
    rows: (r) => [...named(r.overheadMicroseconds), ...named(r.trainingMilliseconds)],
  },
  interpreter: {
    files: ["interpreter.ts"],
    args: ["--threads", `${Math.min(2, availableParallelism())}`],
    result: "bench-interpreter",
    rows: ({ inference, overheadMicroseconds: { interpreter, calls } }) => [
      own(`${inference.network}, batch ${inference.batch}`, inference.milliseconds),
      ...[own("a node in the interpreter", interpreter), own("a call by hand", calls)],
    ],
  },
  training: {
    files: ["training-layouts.ts", "training-forms.ts"],
    args: ["--rounds", "3", "--further", "1", "--patches", "4"],
    result: "bench-training",
    rows: (r) => named(r.rows, (row) => row.ours.milliseconds),
  },
  layouts: {
    files: ["layouts.ts", "forms.ts"],
    result: ["bench-layouts", "bench-forms"],
    rows: (r) => [
      ...r.layers.flatMap((one) =>
        layouts(`${one.channels}x${one.size}x${one.size} s${one.splits} m${one.basis}`, one),
      ),
      ...layouts("EDSR-8-128 body", r.edsr8x128Body),
    ],
  },
  data: {
    files: ["data.ts"],
    result: "bench-data",
    rows: (r) => Object.entries(r).filter(([name]) => /^(cifar|sr)/.test(name)),
  },
  onnx: { files: ["onnx.ts"], result: "bench-onnx", rows: (r) => Object.entries(r.milliseconds) },
  /** With libtorch's linear algebra where the checkout has a choice, as its commands plan. */
  planning: {
    files: ["planning.ts"],
    result: "bench-planning",
    rows: (r) => r.rows.filter(({ linearAlgebra = "libtorch" }) => linearAlgebra === "libtorch").map(planning),
  },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    bench: { type: "string", default: "engine,interpreter,training" },
    rounds: { type: "string", default: "3" },
    processor: { type: "boolean", default: false },
    write: { type: "string" },
  },
});
const root = fileURLToPath(new URL("..", import.meta.url));
const other = positionals[0] && resolve(positionals[0]);
const wanted = values.bench.split(",");
const unknown = wanted.find((name) => benches[name] === undefined);
if (other === undefined || unknown !== undefined) {
  console.error(unknown ? `no benchmark ${unknown}: ${Object.keys(benches).join(", ")}` : "name another checkout");
  process.exit(2);
}

/** Runs a benchmark in a checkout and gives its rows; the result that was there stays. */
function run(checkout, { files, args = [], result, rows }) {
  const file = files.map((name) => join("bench", name)).find((name) => existsSync(join(checkout, name)));
  if (file === undefined) throw new Error(`${checkout} has none of bench/${files.join(", bench/")}`);
  const path = join(checkout, "results", `${[result].flat().at(file.endsWith(files[0]) ? 0 : -1)}.json`);
  const kept = existsSync(path) ? readFileSync(path) : undefined;
  try {
    const clock = values.processor ? ["--import", new URL("processor-clock.mjs", import.meta.url).href] : [];
    execFileSync(process.execPath, [...clock, "--import", "tsx", file, ...args], {
      cwd: checkout,
      stdio: ["ignore", "ignore", "inherit"],
    });
    return new Map(rows(JSON.parse(readFileSync(path, "utf8"))));
  } finally {
    if (kept === undefined) rmSync(path, { force: true });
    else writeFileSync(path, kept);
  }
}

const commitOf = (checkout) =>
  execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: checkout, encoding: "utf8" }).trim();

const path = values.write && join(root, "results", `${values.write}.json`);
const commits = { commit: commitOf(root), against: commitOf(other), processorTime: values.processor };
const earlier = path && existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
const same = Object.entries(commits).every(([key, value]) => earlier?.[key] === value);
const before = same ? earlier.rows : [];

const started = performance.now();
const load = loadavg()[0];
const rounds = Number(values.rounds);
const found = before.filter(({ bench }) => !wanted.includes(bench));
for (const name of wanted) {
  const samples = new Map(before.filter(({ bench }) => bench === name).map((one) => [one.row, one]));
  for (let round = 0; round < rounds; round++) {
    const order = [
      ["here", root],
      ["there", other],
    ];
    for (const [side, checkout] of round % 2 === 0 ? order : order.reverse())
      for (const [row, time] of run(checkout, benches[name])) {
        if (!samples.has(row)) samples.set(row, { here: [], there: [] });
        samples.get(row)[side].push(time);
      }
  }
  for (const [row, { here, there }] of samples) {
    if (here.length === 0 || there.length === 0) continue;
    const ratio = Math.min(...here) / Math.min(...there);
    found.push({ bench: name, row, here, there, ratio });
    const mark = ratio > 1.03 ? "  slower" : "";
    console.log(`${name.padEnd(12)} ${row.padEnd(40)} ${ratio.toFixed(3)}${mark}`);
  }
}
if (path !== undefined) {
  const result = {
    command: `node scripts/bench-against.mjs CHECKOUT --bench BENCH --write ${values.write}${values.processor ? " --processor" : ""}`,
    date: new Date().toISOString(),
    ...{ ...commits, node: process.version },
    machine: { processor: cpus()[0]?.model ?? "unknown", threads: availableParallelism(), load },
    minutes: (same ? earlier.minutes : 0) + (performance.now() - started) / 60_000,
    what: "shortest time here / shortest time there; microseconds, milliseconds or seconds as each benchmark has them",
    rows: found,
  };
  writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
}
