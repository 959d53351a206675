// What runs leave behind: a session without an arena keeps the memory of its values for its next run, and gives it back
// when it is released.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { randomTensor, smallGraph } from "../../test/small-graphs.js";
import { ints, makeNode } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import { keepFreedMemory, returnFreedMemory } from "../torch/heap.js";
import { loadEnvironment } from "../torch/native.js";
import { openSession } from "./open.js";

const missing =
  process.platform !== "linux" || loadEnvironment()?.keepFreedBlocks(false) !== true
    ? "the addon is not built, or the C library is not glibc"
    : undefined;

/** Layers of growing width whose outputs are all kept until the end: values of 4 to 32 MB. */
function skips(count: number): Graph {
  const names = Array.from({ length: count }, (_, i) => `h${i}`);
  const convs = names.map((name, i) => makeNode("Conv", [i === 0 ? "x" : names[i - 1]!, `w${i}`], [name]));
  const means = names.map((name) => makeNode("ReduceMean", [name], [`${name}.mean`], { axes: ints([1]) }));
  const sum = makeNode(
    "Sum",
    names.map((name) => `${name}.mean`),
    ["y"],
  );
  const width = (i: number) => (i < 0 ? 4 : 4 + ((i * 5) % 28));
  return smallGraph({
    nodes: [...convs, ...means, sum],
    initializers: Object.fromEntries(names.map((_, i) => [`w${i}`, randomTensor([width(i), width(i - 1), 1, 1], i)])),
    outputs: ["y"],
  });
}

test.skipIf(missing)(`memory of a session goes back${missing ? ` (${missing})` : ""}`, async () => {
  const feeds = { x: randomTensor([1, 4, 512, 512], 1) };
  const before = process.memoryUsage().rss;
  for (let turn = 0; turn < 3; turn += 1) {
    const session = await openSession(skips(24), { runtime: "node", threads: 2, arena: false });
    await session.run(feeds);
    await session.release();
  }
  const kept = (process.memoryUsage().rss - before) / 2 ** 20;
  expect(kept).toBeLessThan(100);
});

/** Pages that the process was given so far: the tenth field behind its name. */
const pagesTaken = (): number => Number(readFileSync("/proc/self/stat", "utf8").split(") ")[1]!.split(" ")[7]);

test.skipIf(missing)(`a second run takes no new memory${missing ? ` (${missing})` : ""}`, async () => {
  const feeds = { x: randomTensor([1, 4, 512, 512], 1) };
  const session = await openSession(skips(24), { runtime: "node", threads: 2, arena: false });
  try {
    const counts: number[] = [];
    for (let run = 0; run < 4; run++) {
      const before = pagesTaken();
      await session.run(feeds);
      counts.push(pagesTaken() - before);
    }
    expect(counts[0]).toBeGreaterThan(20_000);
    expect(Math.min(...counts.slice(1))).toBeLessThan(2000);
  } finally {
    await session.release();
  }
});

test.skipIf(missing)(`what is kept goes back at once when asked${missing ? ` (${missing})` : ""}`, async () => {
  const giveBack = keepFreedMemory();
  try {
    const session = await openSession(skips(24), { runtime: "node", threads: 2, arena: false });
    await session.run({ x: randomTensor([1, 4, 512, 512], 1) });
    await session.release();
    const kept = process.memoryUsage().rss;
    returnFreedMemory();
    expect(process.memoryUsage().rss).toBeLessThan(kept - 1e8);
  } finally {
    giveBack();
  }
});
