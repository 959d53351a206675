import { expect, test } from "vitest";
import { everyOperator, NetworkDraft, optimisedOperators, plainRounding } from "../../test/quantized-graphs.js";
import type { Graph } from "../graph/types.js";
import { layerGraph } from "../runtime/layer-graph.js";
import { timedKey } from "../runtime/time-layers.js";
import { floatForm } from "./eight-bits.js";
import { contest, type Entrant, entrantsOf } from "./precision-contest.js";
import type { Searched, Trial } from "./precision-search.js";
import { precisionTimes } from "./precision-times.js";

type Timed = Parameters<typeof timedKey>[0];

const layers = ["head", "left", "right", "mixed", "tail", "hidden", "y"];
const inputs = { shapes: new Map([["x", [1, 3, 8, 8]]]), values: new Map() };
const place = { inputs, threads: 1, rounds: 5, budget: 200 };

/** A trial with some layers in floats, and a loss. */
const trialOf = (float: Trial["float"], loss: number, graph: Graph = everyOperator()): Trial => ({
  ...{ rounding: plainRounding, float, graph, loss },
  outcomes: layers.map((layer) => ({ pass: "quantize", layer, applied: !float.has(layer), reason: "" })),
});

/** Times as if layers were slower in eight bits, or faster. */
const tableOf = (slow: readonly string[], graph: Graph) => {
  const answers = new Map<string, number>();
  const table = {
    clock: (question: Timed) => answers.get(timedKey(question)),
    measure: async (questions: readonly Timed[]) => {
      const usual = ({ chain, precision }: Timed) => (chain?.length === 0 ? 0 : precision === undefined ? 1 : 0.5);
      for (const question of questions) answers.set(timedKey(question), usual(question));
      const heads = new Set(slow.map((name) => graph.nodes.find((node) => node.name === name)!.inputs[1]!));
      for (const question of questions)
        if (question.precision && [...heads].some((w) => `${graph.initializers.get(w)!.dims}` === `${question.shape}`))
          answers.set(timedKey(question), 2);
    },
    networks: async () => ({ original: 1, written: 1 }),
    confirmed: () => table,
  };
  return table;
};

test("the layers that are slower in eight bits are tried in floats, each with both times", async () => {
  const float = everyOperator();
  const kept: Trial["float"][] = [];
  const searched: Searched = {
    trials: [trialOf(new Map(), 0.001)],
    keeping: async (names) => {
      kept.push(names);
      return trialOf(names, 0.001);
    },
  };
  const of = { given: { graph: float }, float: floatForm(float), limit: 0.01 };
  const { entrants } = await entrantsOf("eight bits", of, searched, {
    ...{ table: tableOf(["head", "mixed"], float), place, hooks: {} },
  });
  expect(kept.map((names) => [...names.keys()])).toEqual([["head"], ["head", "mixed"]]);
  expect([...kept[1]!.values()][1]).toMatch(/by itself it takes 1.00 ms in floats and 2.00 ms in eight bits/);
  expect(entrants.map(({ name }) => name)).toEqual([
    "eight bits, 7 layers",
    "eight bits, 6 layers",
    "eight bits, 5 layers",
  ]);
});

test("a network that loses too much in eight bits takes no part, and says how much it loses", async () => {
  const float = everyOperator();
  const searched: Searched = { trials: [trialOf(new Map(), 0.2)], keeping: async () => trialOf(new Map(), 0.2) };
  const of = { given: { graph: float }, float: floatForm(float), limit: 0.01 };
  const found = await entrantsOf("eight bits", of, searched, { table: tableOf([], float), place, hooks: {} });
  expect(found.entrants).toEqual([]);
  expect(found.skipped).toMatchObject([{ loss: 0.2, reason: "it loses 0.20 where 0.01 is allowed" }]);
});

test("every layer has a question in both precisions, and graphs that can be timed", async () => {
  const float = everyOperator();
  const asked: Timed[] = [];
  const table = { ...tableOf([], float), measure: async (questions: typeof asked) => void asked.push(...questions) };
  await precisionTimes(float, place, { ...table, confirmed: () => table as never }, {});
  // Convolutions with their neighbours before and behind.
  expect(asked).toHaveLength(2 * (layers.length + 2 * 5));
  for (const question of asked) {
    const { nodes } = layerGraph(question);
    const rounds = nodes.filter(({ op }) => op === "DequantizeLinear").length;
    if (question.precision === undefined) expect(rounds).toBe(0);
    else expect(rounds, JSON.stringify(question)).toBeGreaterThan(0);
  }
  const first = layerGraph(asked.find(({ precision }) => precision === "int8")!);
  const ran = await optimisedOperators(first);
  expect([ran.QLinearConv, ran.Conv, ran.QuantizeLinear, ran.DequantizeLinear]).toEqual([
    3,
    undefined,
    undefined,
    undefined,
  ]);
});

test("of networks that are timed in turns the fastest that may be written is chosen", { timeout: 30_000 }, async () => {
  const wide = new NetworkDraft(1);
  const large = wide.graph([1, 3, 8, 8], wide.conv(wide.conv("x", "a", 96, 3), "y", 96, 96));
  const narrow = new NetworkDraft(2);
  const small = narrow.graph([1, 3, 8, 8], narrow.conv("x", "y", 4, 3));
  const float: Entrant = { name: "floats", given: { graph: large }, float: floatForm(large) };
  const eight = { ...float, name: "eight bits", trial: trialOf(new Map(), 0.001, small) };
  const excluded = { ...eight, name: "original", excluded: "it was not asked for" };
  const slow = { ...eight, name: "slow", trial: trialOf(new Map(), 0, large) };
  const { chosen, contestants } = await contest([float, slow, eight], place, {});
  expect(chosen).toBe(eight);
  expect(contestants.map(({ chosen: own }) => own)).toEqual([undefined, undefined, true]);
  expect(contestants[2]!.milliseconds).toBeLessThan(contestants[0]!.milliseconds!);
  const other = await contest([{ ...float, given: { graph: small } }, slow, excluded], place, {});
  expect(other.chosen.name).toBe("floats");
  expect(other.contestants[2]).toMatchObject({ name: "original", reason: "it was not asked for" });
});
