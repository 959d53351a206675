// Two processes of one thread against one: a training step of ResNet-20 and ResNet-56 at 2 x 64 images against 1 x 128,
// what the sum of the gradients costs, with and without overlap, and DistributedDataParallel on the same work, all in
// turns. usage, with two idle cores: npm run bench:scaling [-- --rounds 15] [--steps 4] [--brief]
// writes results/bench-scaling.json, not with --brief
import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { median } from "../src/runtime/latency.js";
import { engineInfo } from "../src/torch/index.js";
import { Python, pythonWithTorch } from "./python.js";
import { writeResult } from "./result.js";
import type { Answer, Mode, Request } from "./scaling-member.js";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "15" },
    steps: { type: "string", default: "4" },
    images: { type: "string", default: "128" },
    brief: { type: "boolean", default: false },
  },
});
const given = process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [];
const rounds = options.brief ? 2 : Number(options.rounds);
const steps = options.brief ? 1 : Number(options.steps);
const images = options.brief ? 16 : Number(options.images);
const size = 2;
const root = mkdtempSync(join(tmpdir(), "filterbasis-scaling-"));
const environment = (rank: number) => ({
  ...{ OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1", RANK: String(rank), WORLD_SIZE: String(size) },
  FILTERBASIS_MEETING: join(root, "meeting"),
});

/** Two processes that make steps. */
interface Pair {
  begin(mode: Mode, depth: number, images: number): Promise<readonly Answer[]>;
  /** Steps of both, or of the first alone. */
  steps(count: number, both: boolean): Promise<readonly Answer[]>;
}

class Members implements Pair {
  readonly #children: readonly ChildProcess[];

  constructor() {
    const file = fileURLToPath(new URL("./scaling-member.ts", import.meta.url));
    this.#children = Array.from({ length: size }, (_, rank) =>
      fork(file, { execArgv: ["--import", "tsx"], env: { ...process.env, ...environment(rank) } }),
    );
  }

  /** When both have joined. */
  ready(): Promise<unknown> {
    return Promise.all(this.#children.map(answerOf));
  }

  all(request: Request, count = size): Promise<readonly Answer[]> {
    return Promise.all(
      this.#children.slice(0, count).map((child) => {
        const answer = answerOf(child);
        child.send(request);
        return answer;
      }),
    );
  }

  begin(mode: Mode, depth: number, own: number): Promise<readonly Answer[]> {
    return this.all({ command: "begin", mode, depth, images: own });
  }

  steps(count: number, both: boolean): Promise<readonly Answer[]> {
    return this.all({ command: "steps", count }, both ? size : 1);
  }

  end(): Promise<unknown> {
    for (const child of this.#children) child.send({ command: "end" } satisfies Request);
    return Promise.all(this.#children.map((child) => new Promise((resolve) => child.once("exit", resolve))));
  }
}

const answerOf = (child: ChildProcess): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`a member ended with code ${code}`));
    child.once("exit", ended);
    child.once("message", (answer) => {
      child.off("exit", ended);
      resolve(answer as Answer);
    });
  });

async function pythons(python: string): Promise<{ readonly pair: Pair; readonly version: string; end(): void }> {
  const script = fileURLToPath(new URL("./scaling-torch.py", import.meta.url));
  const both = Array.from({ length: size }, (_, rank) => new Python(python, script, environment(rank)));
  const path = join(root, "torch-meeting");
  const joined = both.map((one, rank) => one.ask<{ version: string }>("join", { path, rank, size }));
  const [{ version } = { version: "" }] = await Promise.all(joined);
  return {
    version,
    pair: {
      begin: (mode, depth, own) =>
        Promise.all(both.map((one) => one.ask<Answer>("begin", { mode, depth, images: own }))),
      steps: (count, all) =>
        Promise.all(both.slice(0, all ? size : 1).map((one) => one.ask<Answer>("steps", { count }))),
    },
    end() {
      for (const one of both) one[Symbol.dispose]();
    },
  };
}

/** A way to make a step of the whole batch. */
interface Way {
  readonly name: string;
  readonly pair: Pair;
  readonly mode: Mode;
  readonly both: boolean;
}

/** The slower process of each step is what the step takes. */
const slowest = (answers: readonly Answer[]): readonly number[] =>
  answers[0]!.ms.map((_, i) => Math.max(...answers.map(({ ms }) => ms[i]!)));

async function measured(depth: number, ways: readonly Way[]) {
  const times = new Map(ways.map(({ name }) => [name, [] as number[]]));
  let bytes: readonly number[] = [];
  for (let round = 0; round <= rounds; round++) {
    for (const { name, pair, mode, both } of round % 2 === 0 ? ways : ways.toReversed()) {
      const begun = await pair.begin(mode, depth, both ? images / size : images);
      if (begun[0]!.bytes.length > 0) bytes = begun[0]!.bytes;
      await pair.steps(1, both);
      const ms = slowest(await pair.steps(steps, both));
      if (round > 0) times.get(name)!.push(...ms);
    }
    process.stderr.write(`ResNet-${depth}: round ${round} of ${rounds}\n`);
  }
  const medians = Object.fromEntries([...times].map(([name, ms]) => [name, median(ms)]));
  return { bytes, milliseconds: medians, n: rounds * steps };
}

const members = new Members();
await members.ready();
const found = pythonWithTorch();
const partner = found === undefined ? undefined : await pythons(found);
const ways: readonly Way[] = [
  { name: "one process", pair: members, mode: "alone", both: false },
  { name: "two processes", pair: members, mode: "overlapped", both: true },
  { name: "two processes, sums after the backward pass", pair: members, mode: "after", both: true },
  { name: "two processes that do not sum", pair: members, mode: "alone", both: true },
  ...(partner === undefined
    ? []
    : ([
        { name: "PyTorch, one process", pair: partner.pair, mode: "alone", both: false },
        { name: "PyTorch, DistributedDataParallel", pair: partner.pair, mode: "overlapped", both: true },
      ] as const)),
];
const nets = [];
for (const depth of [20, 56]) {
  const { bytes, milliseconds, n } = await measured(depth, ways);
  const whole = bytes.reduce((sum, one) => sum + one, 0);
  const sums = slowest(await members.all({ command: "sums", bytes: whole, count: options.brief ? 5 : 50 }));
  const [one, two] = [milliseconds["one process"]!, milliseconds["two processes"]!];
  const ddp = milliseconds["PyTorch, DistributedDataParallel"];
  nets.push({
    net: `ResNet-${depth}`,
    ...{ images, n, bytes: whole, buckets: bytes.length, milliseconds },
    speedup: one / two,
    efficiency: one / two / size,
    overhead: two - milliseconds["two processes that do not sum"]!,
    sum: median(sums.slice(1)),
    ...(ddp !== undefined && { againstPyTorch: two / ddp }),
  });
  console.log(JSON.stringify(nets.at(-1), null, 2));
}
await members.end();
partner?.end();
rmSync(root, { recursive: true, force: true });
if (!options.brief)
  await writeResult("bench-scaling", `npm run bench:scaling ${given.join(" ")}`.trim(), {
    ...{ processes: size, threads: 1, rounds, steps },
    versions: { libtorch: engineInfo().version, pytorch: partner?.version ?? null, node: process.version },
    nets,
  });
