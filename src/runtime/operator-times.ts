// How long each kind of operator takes in a network, as ONNX Runtime's own profile says it: after its rewriting, so
// that what it fused or laid out anew is told under its own names.
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Graph } from "../graph/types.js";
import type { ModelInputs } from "./find-inputs.js";
import { median } from "./latency.js";
import { openSession } from "./open.js";
import { sampleFeeds } from "./samples.js";
import type { SessionOptions } from "./session.js";
import { timedRun } from "./timed-run.js";

export interface OperatorTime {
  readonly operator: string;
  readonly nodes: number;
  readonly milliseconds: number;
  /** Of all operators together. */
  readonly share: number;
}

/** Runs that are measured, behind one that is not. */
const runs = 5;

/** Kinds of operators, the slowest first. Node only: the web's runtime keeps no profile. */
export async function operatorTimes(
  model: Graph | string,
  inputs: Pick<ModelInputs, "shapes" | "values">,
  { threads, signal }: Pick<SessionOptions, "threads"> & { readonly signal?: AbortSignal } = {},
): Promise<readonly OperatorTime[]> {
  const folder = await mkdtemp(join(tmpdir(), "filterbasis-profile-"));
  try {
    const session = await openSession(model, {
      ...{ runtime: "node", profile: join(folder, "profile") },
      ...(threads === undefined ? {} : { threads }),
    });
    try {
      const run = await timedRun(session, sampleFeeds(session.inputs, inputs));
      for (let done = 0; done < runs && signal?.aborted !== true; done++) await run();
    } finally {
      await session.release();
    }
    const [file] = await readdir(folder);
    return file === undefined ? [] : byOperator(JSON.parse(await readFile(join(folder, file), "utf8")) as Event[]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** An entry of a profile; times are in microseconds. */
interface Event {
  readonly cat?: string;
  readonly name?: string;
  readonly dur?: number;
  readonly args?: { readonly op_name?: string };
}

function byOperator(events: readonly Event[]): readonly OperatorTime[] {
  const nodes = new Map<string, { readonly operator: string; readonly times: number[] }>();
  for (const { cat, name = "", dur, args } of events) {
    if (cat !== "Node" || !name.endsWith("_kernel_time") || dur === undefined || args?.op_name === undefined) continue;
    const node = nodes.get(name) ?? { operator: args.op_name, times: [] };
    node.times.push(dur);
    nodes.set(name, node);
  }
  const sums = new Map<string, { nodes: number; milliseconds: number }>();
  for (const { operator, times } of nodes.values()) {
    const sum = sums.get(operator) ?? { nodes: 0, milliseconds: 0 };
    // A node inside a loop runs several times in a run.
    const perRun = Math.max(1, Math.round(times.length / (runs + 1)));
    sums.set(operator, {
      nodes: sum.nodes + 1,
      milliseconds: sum.milliseconds + (perRun * median(times.slice(perRun))) / 1000 || sum.milliseconds,
    });
  }
  const all = [...sums.values()].reduce((total, { milliseconds }) => total + milliseconds, 0);
  return [...sums]
    .map(([operator, sum]) => ({ operator, ...sum, share: all > 0 ? sum.milliseconds / all : 0 }))
    .sort((a, b) => b.milliseconds - a.milliseconds);
}
