// How the processes of a training begin as one: rank 0 reads the folder, and the others get from it the recipe, the
// checkpoint, the compressed network and its first weights. They need no folder of their own.
import { FilterBasisError } from "../errors/error.js";
import { readModel, writeModel } from "../formats/onnx/index.js";
import { readSafetensors, writeSafetensors } from "../formats/safetensors.js";
import type { Graph } from "../graph/types.js";
import type { Checkpoint } from "./checkpoint.js";
import type { LoopState } from "./loop.js";
import { parseRecipe, type Recipe } from "./recipe.js";
import type { Trainer } from "./step.js";
import { fromFirst, type World } from "./world.js";

const encoded = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const decoded = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));

/** Rank 0's recipe. @throws FilterBasisError `group` where this process was given another one */
export async function sharedRecipe(world: World, own: Recipe | "resume"): Promise<Recipe> {
  if (world.size === 1) return own as Recipe;
  const first = parseRecipe(decoded((await fromFirst(world, world.rank === 0 ? encoded(own) : undefined))!));
  if (own === "resume" || JSON.stringify(own) === JSON.stringify(first)) return first;
  const field = Object.keys(first).find(
    (key) => JSON.stringify(first[key as keyof Recipe]) !== JSON.stringify(own[key as keyof Recipe]),
  );
  throw new FilterBasisError("group", `rank ${world.rank} was given another recipe than rank 0`, {
    field: field ?? "",
    expected: JSON.stringify(first[field as keyof Recipe]),
    got: JSON.stringify(own[field as keyof Recipe]),
    facts: { rank: world.rank },
    cures: ["start every process with the same command"],
  });
}

/** Rank 0's checkpoint, if it has one. */
export async function sharedCheckpoint(
  world: World,
  found: Checkpoint<LoopState> | undefined,
): Promise<Checkpoint<LoopState> | undefined> {
  if (world.size === 1) return found;
  const metadata = found && new Map([["state", JSON.stringify({ step: found.step, state: found.state })]]);
  const bytes = await fromFirst(world, found && Buffer.concat(writeSafetensors(found.tensors, metadata!)));
  if (bytes === undefined || world.rank === 0) return found;
  const { tensors, metadata: kept } = readSafetensors(bytes, { file: "the checkpoint of rank 0" });
  const { step, state } = JSON.parse(kept.get("state")!) as Pick<Checkpoint<LoopState>, "step" | "state">;
  return { step, state, tensors };
}

/** The network that rank 0 made; what is not compressed is the same everywhere. */
export async function sharedGraph(
  world: World,
  original: Graph,
  { compress, start }: Recipe,
  make: (() => Promise<Graph>) | undefined,
): Promise<Graph> {
  if (world.size === 1) return await make!();
  if (compress === undefined && start === undefined) return original;
  const made = await make?.();
  const bytes = await fromFirst(world, made && writeModel(made));
  return made ?? readModel(bytes!, { file: "the network of rank 0" });
}

/** Every process begins with rank 0's weights and statistics. */
export async function shareStart(world: World, { network }: Trainer): Promise<void> {
  if (world.size === 1) return;
  await world.barrier();
  await world.broadcast([...network.parameters.values(), ...network.buffers.values()]);
}

/** What a run must say that goes on with another number of processes. */
export function otherNumber(state: LoopState | undefined, { size }: World): string | undefined {
  const before = state?.processes ?? 1;
  if (state === undefined || before === size) return undefined;
  const count = (n: number): string => (n === 1 ? "one process" : `${n} processes`);
  const why = "batches are shared out in another order, and batch norms see other shares";
  const end = "so that it does not end bit for bit as it would have";
  return `the run goes on with ${count(size)}, before it had ${count(before)}: ${why}, ${end}`;
}
