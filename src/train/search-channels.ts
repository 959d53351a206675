// AMC's search: the agent tries numbers of channels, layer by layer, within the budget; the reward of a network is what
// it gets right on the calibration batches, given to every step of its episode alike. Without labels it is how near its
// outputs are to the original's. The best network of all that were tried is kept.
import { Random } from "../linalg/random.js";
import { type AmcOptions, amc } from "../methods/amc.js";
import { channelEnvironment } from "../methods/channel-environment.js";
import { bestLinearAlgebra } from "../torch/linalg.js";
import { candidateError } from "./candidate-error.js";
import { channelAgent, type Transition } from "./channel-agent.js";
import type { Learner } from "./knowledge.js";

/** Of the state. */
const numbersOfState = 10;
/** Noise of the first action that is not random, and by how much of it the next episode's is less. */
const noise = { first: 0.5, decay: 0.95 } as const;

/**
 * The error itself up to 1, and above it still more for more, but below 2: without labels most tries may be off by more
 * than what the original gives, and the agent has to tell them apart.
 */
const bounded = (error: number): number => (error <= 1 ? error : 2 - 1 / error);

export const searchChannels: Learner = async (task) => {
  const { graph, options, seed, note, moments } = task;
  const given = { ...(options as AmcOptions), ...(moments && { moments }), linear: bestLinearAlgebra() };
  const { episodes = 100, warmup = Math.ceil(episodes / 4) } = given;
  const environment = channelEnvironment(graph, given);
  const { classes } = environment;
  if (classes.length === 0) return {};
  const errorOf = await candidateError(task);
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
    const error = errorOf(amc({ ...given, kept })(graph).graph);
    await new Promise(setImmediate);
    if (best === undefined || error < best.error) best = { kept, error };
    if ((episode + 1) % 20 === 0 && episode + 1 < episodes)
      note(`channels: ${episode + 1} of ${episodes} networks tried, the best error ${best.error.toPrecision(3)}`);
    agent.remember(
      steps.map((step, at): Transition => ({ ...step, reward: -bounded(error), next: steps[at + 1]?.state })),
    );
    if (episode >= warmup) for (const _ of classes) agent.learn();
  }
  note(`channels decided in ${episodes} episodes: error ${best!.error.toPrecision(3)} before fine-tuning`);
  return { kept: best!.kept };
};
