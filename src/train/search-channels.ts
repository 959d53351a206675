// AMC's search: the agent tries numbers of channels, layer by layer, within the budget; the reward of a network is what
// it gets right on the calibration batches, given to every step of its episode alike. Without labels it is how near its
// outputs are to the original's. The best network of all that were tried is kept.
import { feeds } from "../graph/edit.js";
import type { Graph } from "../graph/types.js";
import { Network } from "../interpreter/network.js";
import { Random } from "../linalg/random.js";
import { type AmcOptions, amc } from "../methods/amc.js";
import { channelEnvironment } from "../methods/channel-environment.js";
import { fromArray, noGrad, type Tensor, TensorScope } from "../torch/index.js";
import { channelAgent, type Transition } from "./channel-agent.js";
import type { Learner, LearningTask } from "./knowledge.js";
import { type Batch, nthBatch } from "./sources.js";

/** Of the state. */
const numbersOfState = 10;
/** Noise of the first action that is not random, and by how much of it the next episode's is less. */
const noise = { first: 0.5, decay: 0.95 } as const;

export const searchChannels: Learner = async (task) => {
  const { graph, options, seed, note, moments } = task;
  const given = { ...(options as AmcOptions), ...(moments && { moments }) };
  const { episodes = 100, warmup = Math.ceil(episodes / 4) } = given;
  const environment = channelEnvironment(graph, given);
  const { classes } = environment;
  if (classes.length === 0) return {};
  const judge = await judgeOf(task);
  using agent = channelAgent(numbersOfState, 100 * classes.length, seed);
  const random = new Random(`channels ${seed}`);
  let best: { readonly kept: readonly number[]; readonly error: number } | undefined;
  for (let episode = 0; episode < episodes; episode++) {
    const deviation = noise.first * noise.decay ** Math.max(0, episode - warmup);
    const steps: { state: readonly number[]; action: number }[] = [];
    const kept: number[] = [];
    for (const { of } of classes) {
      const state = environment.state(kept);
      const action = episode < warmup ? random.next() : agent.act(state, deviation);
      kept.push(environment.channels(action, kept));
      steps.push({ state, action: kept.at(-1)! / of.channels.length });
    }
    const error = await judge(amc({ ...given, kept })(graph).graph);
    if (best === undefined || error < best.error) best = { kept, error };
    agent.remember(steps.map((step, at): Transition => ({ ...step, reward: -error, next: steps[at + 1]?.state })));
    if (episode >= warmup) for (const _ of classes) agent.learn();
  }
  note(`channels decided in ${episodes} episodes: error ${best!.error.toPrecision(3)} before fine-tuning`);
  return { kept: best!.kept };
};

/** How much of the calibration batches a network gets wrong, 0..1; without labels, the relative error of its output. */
async function judgeOf({ graph, network, source, batches }: LearningTask) {
  const [input = { name: "" }] = feeds(graph);
  const output = graph.outputs[0]!.name;
  const answer = (from: Network, { input: values, inputDims }: Batch): Tensor =>
    from.forward(new Map([[input.name, fromArray(values, inputDims, "float32", from.device)]])).get(output)!;
  const all: { readonly batch: Batch; readonly wanted: Float32Array }[] = [];
  for (let step = 0; step < batches; step++) {
    const made = await nthBatch(source, step);
    const batch = { ...made, input: made.input.slice() }; // its array is used again
    using _scope = new TensorScope();
    all.push({ batch, wanted: (noGrad(() => answer(network, batch)).data() as Float32Array).slice() });
  }
  return async (candidate: Graph): Promise<number> => {
    using pruned = new Network(candidate, { device: network.device, trainable: () => false });
    let sum = 0;
    for (const { batch, wanted } of all) {
      using _scope = new TensorScope();
      const got = noGrad(() => answer(pruned, batch)).data() as Float32Array;
      sum += batch.target instanceof BigInt64Array ? wrongShare(got, batch.target) : relativeError(got, wanted);
      await new Promise(setImmediate);
    }
    return sum / all.length;
  };
}

function wrongShare(scores: Float32Array, labels: BigInt64Array): number {
  const classes = scores.length / labels.length;
  let wrong = 0;
  for (const [row, label] of labels.entries()) {
    const own = scores.subarray(row * classes, (row + 1) * classes);
    if (own.indexOf(Math.max(...own)) !== Number(label)) wrong++;
  }
  return wrong / labels.length;
}

function relativeError(got: Float32Array, wanted: Float32Array): number {
  let [off, all] = [0, 0];
  for (const [at, value] of wanted.entries()) {
    off += (got[at]! - value) ** 2;
    all += value ** 2;
  }
  return Math.min(1, Math.sqrt(off / (all || 1)));
}
