import { afterEach, describe, expect, it } from "vitest";
import { type ImageSet, normalizations } from "../data/image-set.js";
import { Network } from "../interpreter/network.js";
import { Random } from "../linalg/random.js";
import { resnet } from "../nets/resnet.js";
import { callAll, generatorState, liveTensors, noGrad, setGeneratorState, type Tensor } from "../torch/index.js";
import type { Checkpoint } from "./checkpoint.js";
import { type EpochReport, type LoopHooks, type LoopState, type StepReport, trainLoop } from "./loop.js";
import { optimizer } from "./optimizers.js";
import { recipeSchema } from "./recipe.js";
import { snapshot } from "./snapshot.js";
import { type BatchSource, imageSource } from "./sources.js";
import type { Trainer } from "./step.js";
import type { SharedGradients } from "./world.js";

// 40 images whose class is the channel that is bright: easy enough to be trained in a few steps.
function images(): ImageSet {
  const random = new Random("pictures");
  const [count, side] = [40, 32];
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 3);
  const images = Uint8Array.from({ length: count * 3 * side * side }, (_, i) => {
    const image = Math.floor(i / (3 * side * side));
    const channel = Math.floor(i / (side * side)) % 3;
    return random.int(100) + (channel === labels[image] ? 150 : 0);
  });
  return { name: "bright channels", images, labels, classes: ["r", "g", "b"], count, height: side, width: side };
}

interface Made {
  readonly steps: StepReport[];
  readonly epochs: EpochReport[];
  readonly checkpoints: Checkpoint<LoopState>[];
  readonly weights: ReadonlyMap<string, Uint8Array>;
}

async function train(
  o: {
    seed?: number;
    stopAfter?: number;
    resume?: Checkpoint<LoopState>;
    rate?: number;
    spoil?: string;
    shared?: (parameters: readonly Tensor[]) => SharedGradients;
  } = {},
): Promise<Made> {
  const graph = resnet(8, { classes: 3, widths: [4, 4, 8], init: "kaiming", seed: o.seed ?? 1 });
  const recipe = recipeSchema.parse({ name: "test", network: { name: "resnet8" } });
  using network = new Network(graph);
  if (o.spoil !== undefined) noGrad(() => void callAll("fill_.Scalar", network.parameters.get(o.spoil!)!, 3e38));
  using rule = optimizer(network.parameters, recipe.optimizer);
  const ends = { input: "input", outputs: ["output"] };
  const trainer: Trainer = {
    graph,
    network,
    ...ends,
    optimizer: rule,
    loss: recipe.loss,
    layers: [],
    ...(o.shared && { shared: o.shared([...network.parameters.values()]) }),
  };
  const [steps, epochs, checkpoints]: [StepReport[], EpochReport[], Checkpoint<LoopState>[]] = [[], [], []];
  const hooks: LoopHooks = {
    onStep: (report) => void steps.push(report),
    onEpoch: (report) => void epochs.push(report),
    evaluate: async () => ({ primaryMetric: steps.length }),
    async save(checkpoint) {
      checkpoints.push({ ...checkpoint, state: { ...checkpoint.state, journals: {} } });
    },
    stopping: () => steps.length === o.stopAfter,
    now: () => 0,
  };
  const whole = imageSource(images(), {
    batch: 16,
    augment: true,
    normalization: normalizations.cifar10,
    dropLast: false,
    seed: o.seed ?? 1,
    labelled: true,
  });
  const source: BatchSource = {
    ...whole,
    batch: (epoch, step) => ({ ...whole.batch(epoch, step), ...(o.shared && { share: 1 / 2 }) }),
  };
  await trainLoop(
    trainer,
    {
      source,
      schedule: { name: "cosine", minimum: 0, per: "step", warmup: 0 },
      rate: o.rate ?? 0.05,
      epochs: 4,
      primaryMetric: { name: "score", higher: true },
      generator: { get: generatorState, set: setGeneratorState },
    },
    hooks,
    o.resume,
  );
  const weights = new Map(
    [...network.parameters, ...network.buffers].map(([name, tensor]) => [name, snapshot(tensor).data]),
  );
  return { steps, epochs, checkpoints, weights };
}

const before = liveTensors();
afterEach(() => expect(liveTensors()).toBe(before));

describe("trainLoop", () => {
  it("trains: the loss falls", async () => {
    const { epochs } = await train();
    expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4]);
    expect(epochs.at(-1)!.trainLoss).toBeLessThan(0.5 * epochs[0]!.trainLoss);
  });
  it("gives the same weights, bit for bit, for the same seed, and others for another", async () => {
    const [first, second, other] = [await train(), await train(), await train({ seed: 2 })];
    expect(second.weights).toEqual(first.weights);
    expect(other.weights).not.toEqual(first.weights);
  });
  it.each([3, 4, 6, 11])("stopped after %i steps and resumed, ends as if never stopped", async (stopAfter) => {
    const whole = await train();
    const part = await train({ stopAfter });
    const rest = await train({ resume: part.checkpoints.at(-1)! });
    expect(part.steps.length).toBe(stopAfter);
    expect(rest.weights).toEqual(whole.weights);
    expect([...part.steps, ...rest.steps]).toEqual(whole.steps);
    expect(rest.epochs.at(-1)).toMatchObject({ trainLoss: whole.epochs.at(-1)!.trainLoss });
  });
  it("goes on with the mean of the gradients of all processes", async () => {
    // The other process has the same shard, or nothing but zeros.
    const twins = (factor: number) => (parameters: readonly Tensor[]) => ({
      size: 2,
      begin: () => undefined,
      finish: async () => {
        const gradients = parameters.map(({ grad }) => grad!);
        noGrad(() => void callAll("_foreach_mul_.Scalar", gradients, factor));
        for (const gradient of gradients) gradient.dispose();
        return [];
      },
      [Symbol.dispose]: () => undefined,
    });
    const single = await train({ stopAfter: 3 });
    expect((await train({ stopAfter: 3, shared: twins(1) })).weights).toEqual(single.weights); // (g + g) / 2
    expect((await train({ stopAfter: 3, shared: twins(1 / 2) })).weights).not.toEqual(single.weights);
  });
  it("stops on a loss that is not finite and says which layer went wrong first", async () => {
    await expect(train({ rate: 1e30 })).rejects.toMatchObject({ code: "non-finite" });
    const weight = resnet(8, { classes: 3, widths: [4, 4, 8] }).nodes.filter(({ op }) => op === "Conv")[2]!;
    const place = { layer: weight.name, op: "Conv" };
    await expect(train({ spoil: weight.inputs[1]! })).rejects.toMatchObject({ code: "non-finite", place });
  });
});
