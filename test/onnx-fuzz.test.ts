// Damaged models end in a typed error or in a valid graph, quickly and in bounded memory. `npm run test:fuzz` does
// 24,000 of them; the default suite a few hundred. FILTERBASIS_FUZZ gives the number, FILTERBASIS_SEED the seed.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { writeResult } from "../bench/result.js";
import { isError } from "../src/errors/error.js";
import { readModel, writeModel } from "../src/formats/onnx/index.js";
import { Random } from "../src/linalg/random.js";
import { verifyGraph } from "../src/ops/verify/verify.js";
import { layoutOf, mutate } from "./onnx-mutations.js";
import { noTestdata, testCases } from "./onnx-testdata.js";
import { rebuilt } from "./rebuilt.js";
import { noShared, shared } from "./shared.js";

const count = Number(process.env.FILTERBASIS_FUZZ ?? 600);
const seed = Number(process.env.FILTERBASIS_SEED ?? 1);

const small = testCases()
  .filter((_, at) => at % 13 === 0)
  .map(({ model }) => model);
const folder = shared("data/models");
const large =
  folder === undefined
    ? []
    : readdirSync(folder)
        .filter((name) => name.endsWith(".onnx"))
        .map((name) => join(folder, name));

interface Tally {
  outcomes: Record<string, number>;
  slowest: number;
  hungriest: number;
}

/** Milliseconds of processor time that this process has had: a busy machine does not count against the reader. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function held(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Reads damaged bytes; a graph that comes of them must be valid, writable, and readable again. */
function outcomeOf(bytes: Uint8Array, tally: Tally): string {
  const memory = held();
  const start = processorTime();
  let outcome = "valid";
  try {
    const graph = readModel(bytes);
    verifyGraph(graph);
    readModel(writeModel(rebuilt(graph)));
  } catch (error) {
    if (!isError(error)) throw error;
    outcome = error.code;
  }
  tally.slowest = Math.max(tally.slowest, processorTime() - start);
  tally.hungriest = Math.max(tally.hungriest, (held() - memory) / (64 * 2 ** 20 + 4 * bytes.length));
  return outcome;
}

function campaign(paths: readonly string[], rounds: number): Tally {
  const files = paths.map((path) => new Uint8Array(readFileSync(path)));
  const layouts = files.map(layoutOf);
  const tally: Tally = { outcomes: {}, slowest: 0, hungriest: 0 };
  for (let round = 0; round < rounds; round++) {
    const random = new Random(`${seed}/${round}`);
    const at = round % files.length;
    const other = files[random.int(files.length)] as Uint8Array;
    const bytes = mutate(files[at] as Uint8Array, layouts[at]!, random, other);
    try {
      const outcome = outcomeOf(bytes, tally);
      tally.outcomes[outcome] = (tally.outcomes[outcome] ?? 0) + 1;
    } catch (error) {
      throw new Error(`seed ${seed}, round ${round}, ${paths[at]}: ${String(error)}`, { cause: error });
    }
  }
  return tally;
}

function check({ outcomes, slowest, hungriest }: Tally, rounds: number): void {
  const allowed = ["valid", "malformed", "invalid-graph", "unsupported", "too-large", "not-found"];
  console.log(
    `${rounds} damaged models: ${JSON.stringify(outcomes)}; slowest ${slowest.toFixed(0)} ms, memory ${(100 * hungriest).toFixed(0)} % of the limit`,
  );
  expect(Object.keys(outcomes).filter((outcome) => !allowed.includes(outcome))).toEqual([]);
  expect(Object.values(outcomes).reduce((sum, each) => sum + each, 0)).toBe(rounds);
  // Otherwise the damage never gets past the first look, or never does any.
  for (const outcome of ["valid", "malformed", "invalid-graph"]) expect(outcomes[outcome] ?? 0).toBeGreaterThan(0);
  expect(slowest).toBeLessThan(2000);
  expect(hungriest).toBeLessThan(1);
}

async function record(
  name: string,
  number: number,
  files: number,
  { outcomes, slowest, hungriest }: Tally,
): Promise<void> {
  if (!process.env.FILTERBASIS_RECORD) return;
  await writeResult(`onnx-fuzz-${name}`, "npm run test:fuzz", {
    what: "Seeded byte mutations of models: how reading ends, the slowest in processor time, the largest share of 64 MiB + 4 x the file's size",
    seed,
    mutations: number,
    models: files,
    outcomes,
    slowestMilliseconds: Math.round(slowest),
    memoryShareOfLimit: Number(hungriest.toFixed(3)),
  });
}

const rounds = { small: Math.ceil(count * 0.8), large: Math.floor(count * 0.2) };

test.skipIf(small.length === 0)(
  `damaged conformance models${small.length === 0 ? ` (${noTestdata})` : ""}`,
  async () => {
    const tally = campaign(small, rounds.small);
    await record("conformance", rounds.small, small.length, tally);
    check(tally, rounds.small);
  },
  3_600_000,
);

test.skipIf(large.length === 0)(
  `damaged real networks${large.length === 0 ? ` (${noShared})` : ""}`,
  async () => {
    const tally = campaign(large, rounds.large);
    await record("networks", rounds.large, large.length, tally);
    check(tally, rounds.large);
  },
  3_600_000,
);
