// Files that two checkouts wrote, in ONNX Runtime in turns in one process: whether what this one writes is any slower.
// The files of one name are a pair; inputs are random, of the sizes that they state.
//   npx tsx bench/written.ts FOLDER OTHER_FOLDER --write NAME [--threads 2] [--rounds 40]
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fromBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema } from "onnx-buf";
import { alternate } from "../src/runtime/latency.js";
import { openSession } from "../src/runtime/open.js";
import { sampleFeeds } from "../src/runtime/samples.js";
import { writeResult } from "./result.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "40" },
    write: { type: "string" },
  },
});
const [here, there] = positionals as [string, string];
const others = new Set(readdirSync(there));

/** What a file computes, but for the values of its weights and the names of its values. */
function shapeOf(file: string): string {
  const { graph, opsetImport } = fromBinary(ModelProtoSchema, readFileSync(file));
  const numbered = new Map<string, number>();
  const number = (name: string): number => {
    if (!numbered.has(name)) numbered.set(name, numbered.size);
    return numbered.get(name)!;
  };
  const nodes = graph!.node.map(({ opType, domain, input, output, attribute }) => ({
    ...{ opType, domain, input: input.map(number), output: output.map(number) },
    attribute: [...attribute].sort((a, b) => (a.name < b.name ? -1 : 1)),
  }));
  const constants = graph!.initializer.map(({ name, dims, dataType }) => [number(name), dims, dataType]);
  const plain = (_: string, value: unknown): unknown =>
    typeof value === "bigint" ? `${value}` : value instanceof Uint8Array ? [...value] : value;
  return JSON.stringify([nodes, constants, opsetImport], plain);
}

interface Row {
  readonly file: string;
  readonly sameNodes: boolean;
  readonly here: number;
  readonly there: number;
  readonly ratio: number;
}

const rows: Row[] = [];
for (const file of readdirSync(here).filter((name) => others.has(name))) {
  const [own, other] = [join(here, file), join(there, file)];
  const sameNodes = shapeOf(own) === shapeOf(other);
  // Where a session's memory lies matters as much as anything: each file is opened twice, in both orders.
  const sessions = [];
  for (const one of [own, other, other, own])
    sessions.push(await openSession(one, { threads: Number(values.threads) }));
  const feeds = sampleFeeds(sessions[0]!.inputs);
  const { samples } = await alternate(
    sessions.map((session) => () => session.run(feeds)),
    { rounds: Number(values.rounds), settle: 30 },
  );
  for (const session of sessions) await session.release();
  const [a, b, c, d] = samples.map((times) => Math.min(...times)) as [number, number, number, number];
  const row = { file, sameNodes, here: Math.min(a, d), there: Math.min(b, c) };
  rows.push({ ...row, ratio: row.here / row.there });
  console.log(`${file.padEnd(40)} ${sameNodes} ${row.here.toFixed(3)} ${row.there.toFixed(3)} ms`);
}
if (values.write !== undefined)
  await writeResult(values.write, `npx tsx bench/written.ts HERE THERE --write ${values.write}`, {
    what: "shortest milliseconds of two sessions each; ratio: here / there; sameNodes: equal but for weights' values",
    ...{ threads: Number(values.threads), rounds: Number(values.rounds), rows },
  });
