// What a method is told beside its options, from calibration batches: what layers see, and what is learned before the
// network is rewritten (projections, numbers of channels).
import type { Shares } from "../calibrate/sums.js";
import type { Graph } from "../graph/types.js";
import type { Network } from "../interpreter/network.js";
import { type Known, type MethodName, methodNamed } from "../methods/methods.js";
import { checkedOptions } from "../methods/options.js";
import { learnProjections } from "./learn-projections.js";
import { activationMoments } from "./moments.js";
import { sampledResponses } from "./responses.js";
import { searchChannels } from "./search-channels.js";
import type { BatchSource } from "./sources.js";
import { validateRanks } from "./validate-ranks.js";

export interface LearningTask {
  /** The original, and the same on the engine. */
  readonly graph: Graph;
  readonly network: Network;
  readonly source: BatchSource;
  /** Calibration batches. */
  readonly batches: number;
  /** Of the method; for a learner as they are when checked. */
  readonly options: object;
  readonly seed: number;
  readonly note: (text: string) => void;
  /** Where several processes calibrate together: each runs `activationMoments` with the same batches. */
  readonly shares?: Shares;
}

/** A method's own learning, which begins with the moments. */
export type Learner = (task: LearningTask & Pick<Known, "moments">) => Promise<Known>;

const learners: Partial<Readonly<Record<MethodName, Learner>>> = {
  cap: learnProjections,
  amc: searchChannels,
  enc: validateRanks,
};

export async function knowledgeOf(method: string, task: LearningTask): Promise<Known> {
  const { graph, source, batches, seed, note, shares } = task;
  const { device } = task.network;
  const moments = await activationMoments(graph, source, { batches, seed, note, device, ...(shares && { shares }) });
  const responses = await sampledResponses(source, { batches, seed, device });
  const learner = Object.hasOwn(learners, method) ? learners[method as MethodName] : undefined;
  const options = checkedOptions(method, methodNamed(method).options, task.options);
  return { moments, responses, ...(await learner?.({ ...task, options, moments })) };
}
