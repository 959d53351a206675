import { describe, expect, test } from "vitest";
import { basisMacs } from "../basis/split.js";
import { edsr } from "../nets/edsr.js";
import { cost } from "../ops/cost/cost.js";
import { type Clock, fastest, inputSizes, latenciesOf, questionsOf, step, timedSizes } from "./latencies.js";
import { findLayers, type Layer } from "./layers.js";
import { planCompression, withLayouts } from "./plan.js";
import { budgetQuestions, layoutQuestions } from "./questions.js";

const graph = edsr({ blocks: 2, width: 64, scale: 2 });
const inputs = new Map([["input", [1, 3, 16, 16]]]);
const layerOf = (name: string): Layer => findLayers(graph).layers.find((layer) => layer.name === name)!;
const sizes = inputSizes(graph, inputs);
const body = layerOf("body.0.body.0");

/**
 * Time in proportion to the multiply-accumulates of whole registers of channels, plus something for each convolution.
 */
const clock =
  (perConvolution: number): Clock =>
  ({ input, shape, basis }) => {
    const [n = 1, c = 1, ...kernel] = shape;
    const kernelElements = kernel.reduce((a, b) => a * b, 1);
    const pixels = input.slice(2).reduce((a, b) => a * b, 1);
    const whole = (channels: number) => Math.ceil(channels / step) * step;
    if (!basis) return (whole(n) * c * kernelElements * pixels) / 1e6 + perConvolution;
    const { splits, basisSize } = basis;
    const macs = basisMacs({ outChannels: n, inChannels: c, kernelElements }, splits, whole(basisSize));
    return (macs * pixels) / 1e6 + 2 * perConvolution;
  };

describe("basis sizes to be timed", () => {
  test("are multiples of a step, below what saves nothing", () => {
    const timed = timedSizes(body, 1);
    expect(timed).toEqual([8, 16, 32, 48]);
    for (const size of timed) expect(basisMacs(body, 1, size)).toBeLessThan(64 * 64 * 9);
  });

  test("are small ones where a layer has no more", () => {
    expect(timedSizes({ ...body, outChannels: 16, inChannels: 16 }, 1)).toEqual([4, 8]);
    expect(timedSizes({ ...body, outChannels: 2, inChannels: 1, kernelElements: 1 }, 1)).toEqual([]);
  });
});

test("a layout that another beats by less than a timing can tell is taken where it is simpler", () => {
  const timed = (dense: number, folded: number) => [
    { layout: "batch-folded" as const, milliseconds: folded },
    { layout: "dense" as const, milliseconds: dense },
  ];
  expect(fastest(timed(1, 0.98))?.layout).toBe("dense");
  expect(fastest(timed(1, 0.9))?.layout).toBe("batch-folded");
  expect(fastest([])).toBeUndefined();
});

test("sizes between two timed ones are interpolated by whole steps, those beyond are not known", () => {
  const known: Clock = (layer) =>
    layer.basis && ![16, 48].includes(layer.basis.basisSize) ? undefined : clock(0)(layer);
  const { basis, original } = latenciesOf(known, sizes, 17);
  const at = (size: number) => basis(body, 1, size)?.milliseconds;
  expect(at(17)).toBe(at(32));
  expect(at(32)).toBeCloseTo((at(16)! + at(48)!) / 2, 12);
  expect(at(49)).toBeUndefined();
  expect(original(body)).toBe(clock(0)(questionsOf(body, sizes, 17)![0]!));
});

describe("a budget in multiply-accumulates", () => {
  const plan = (keepMacs: number, ticks: Clock, save = 0) => {
    const asked = new Set(budgetQuestions(graph, { keepMacs, inputs }).map((question) => JSON.stringify(question)));
    const answer: Clock = (layer) => (asked.has(JSON.stringify(layer)) ? ticks(layer) : undefined);
    return planCompression(graph, { keepMacs, inputs, latencies: latenciesOf(answer, sizes, 17), save });
  };

  test("takes sizes that were timed, and keeps the budget", () => {
    const { groups, after, before } = plan(0.6, clock(0));
    expect(after.macs / before.macs).toBeLessThanOrEqual(0.6);
    expect(before.macs).toBe(cost(graph, inputs).macs);
    for (const { choice } of groups) expect(choice.basisSize % step === 0 || choice.basisSize < 2 * step).toBe(true);
  });

  test("leaves layers as they are that would become slower, with that reason", () => {
    const slow: Clock = (layer) => (layer.shape[0] === 256 && layer.basis ? 1e6 : clock(0)(layer));
    const { skipped } = plan(0.8, slow);
    expect(skipped.find(({ name }) => name === "tail.0.0")?.reason).toMatch(/no basis is faster than it is/);
  });

  test("is refused where every basis is slower, naming each layer's best", () => {
    expect(() => plan(0.6, clock(1e3))).toThrow(/cannot be met without becoming slower: the least reachable is 1/);
    try {
      plan(0.6, clock(1e3));
    } catch (error) {
      const { reachable, layers } = (
        error as { facts: { reachable: number; layers: { best: number; original: number }[] } }
      ).facts;
      expect(reachable).toBe(1);
      for (const { best, original } of layers) expect(best).toBe(original);
    }
  });

  test("saves at least the milliseconds that it must, at a higher loss", () => {
    const saved = ({ groups }: ReturnType<typeof plan>) => {
      const all = withLayouts(
        { groups, skipped: [], before: { weights: 0, macs: 0 }, after: { weights: 0, macs: 0 } },
        times,
      );
      const timed = all.groups.flatMap(({ layers }) => layers.map((layer) => layer.timed!));
      return timed.reduce((sum, { original, milliseconds }) => sum + original - milliseconds, 0);
    };
    const times = latenciesOf(clock(0.05), sizes, 17);
    const [free, forced] = [plan(0.6, clock(0.05)), plan(0.6, clock(0.05), 1.05 * saved(plan(0.6, clock(0.05))))];
    expect(saved(forced)).toBeGreaterThanOrEqual(1.05 * saved(free) - 1e-9);
    expect(forced.after.macs).toBeLessThanOrEqual(0.6 * forced.before.macs);
  });
});

test("questions for the layouts of a plan are about its layers as they are and as they may be written", () => {
  const planned = planCompression(graph, { keepParams: 0.5, inputs });
  const questions = layoutQuestions(graph, planned, { inputs }, ["dense", "batch-folded", "grouped"]);
  const layers = planned.groups.flatMap(({ layers }) => layers);
  for (const { layer, splits } of layers) {
    const own = questions.filter(
      ({ shape }) => shape.join() === [layer.outChannels, layer.inChannels, ...layer.kernel].join(),
    );
    expect(own.some(({ basis }) => basis === undefined)).toBe(true);
    expect(own.some(({ basis }) => basis?.splits === splits)).toBe(true);
  }
});

test("what an earlier plan had timed between the usual sizes changes no later plan", () => {
  const odd: Clock = (layer) => (layer.basis?.basisSize === 40 ? 1e-3 : clock(0)(layer));
  const solved = latenciesOf(odd, sizes, 17).basis(body, 1, 40)?.milliseconds;
  expect(solved).toBe(latenciesOf(clock(0), sizes, 17).basis(body, 1, 40)?.milliseconds);
  expect(latenciesOf(odd, sizes, 17, { exact: true }).basis(body, 1, 40)?.milliseconds).toBe(1e-3);
});
