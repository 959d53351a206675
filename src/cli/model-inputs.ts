// What a command runs a model with: what --input and --value state, and what is found for the rest, which is printed.

import type { Graph } from "../graph/types.js";
import type { ChosenSizes } from "../ops/sizes/concrete-inputs.js";
import {
  defaultRuntime,
  type FindInputsOptions,
  findInputs,
  type ModelInputs,
  type RuntimeName,
  runtimeNames,
} from "../runtime/index.js";
import { runtimeCure } from "./diagnosis.js";
import type { Context } from "./frame.js";
import { inputOption } from "./input-shapes.js";
import { readStatedInputs, valueOption } from "./input-values.js";

/** The options, for a command's `args`. */
export const inputOptions = { input: inputOption, value: valueOption };

/** Where a model is run. */
export const runtimeOptions = {
  threads: { type: "string" as const, description: "threads of ONNX Runtime", valueHint: "N" },
  runtime: { type: "enum" as const, options: [...runtimeNames], description: "which ONNX Runtime" },
};

export const latencyOption = {
  type: "boolean" as const,
  description: "time the models",
  negativeDescription: "time nothing",
  default: true,
};

/**
 * Reads the options, decides the model's inputs and notes what was chosen: one call, before anything else is done with
 * the model.
 * @throws FilterBasisError those of `readStatedInputs` and `findInputs`
 */
export async function modelInputs(
  graph: Graph,
  context: Pick<Context, "repeated" | "note" | "signal">,
  options: Pick<FindInputsOptions, "runtime" | "session"> = {},
): Promise<ModelInputs> {
  const found = await findInputs(graph, {
    ...options,
    ...readStatedInputs(graph, context.repeated),
    signal: context.signal,
  });
  const runtime = options.runtime ?? (await defaultRuntime());
  for (const line of [...inputLines(found), ...runtimeLines(runtime, options.runtime)]) context.note(line);
  return found;
}

/** Where the slower runtime stands in for the one that is not installed, that is said: npm leaves it out in silence. */
export function runtimeLines(runtime: RuntimeName, asked: RuntimeName | undefined): readonly string[] {
  if (runtime !== "web" || asked !== undefined) return [];
  return ["onnxruntime-node is missing: models run in WebAssembly, which is slower", `  cure: ${runtimeCure}`];
}

/** What was chosen, for people: a line for sizes, one for values, one where nothing could be tried. */
export function inputLines({
  chosen,
  assumed,
  untried,
}: Pick<ModelInputs, "chosen" | "assumed" | "untried">): readonly string[] {
  const values = assumed.map(({ input, value }) => `${input} = ${value}`);
  return [
    ...(chosen.length > 0
      ? [`sizes: ${chosen.map(showSizes).join("; ").slice(0, -1)}; state others with --input)`]
      : []),
    ...(values.length > 0 ? [`values: ${values.join(", ")} (state others with --value)`] : []),
    ...(untried === undefined ? [] : [`not tried in ONNX Runtime: ${untried}`]),
  ];
}

const showSizes = ({ input, dims, why }: ChosenSizes): string => `${input} = ${dims.join("x")} (${why})`;
