// The error for a model that ran with none of the inputs tried: what ONNX Runtime said, and what can be stated instead.
import { FilterBasisError } from "../errors/error.js";
import type { InputSizes } from "../graph/concrete-inputs.js";
import type { Value } from "../graph/types.js";

/** What ONNX Runtime said to the first sizes, when it has refused all. */
export interface Refused {
  readonly failure: FilterBasisError;
  readonly at: InputSizes;
}

/** `example` is the option that states sizes, absent where none are free; `settings` are the inputs whose values could be stated. */
export function inputsRefused(
  { failure, at }: Refused,
  example: string | undefined,
  settings: readonly Value[],
): FilterBasisError {
  const sizes = [...at.shapes].map(([name, dims]) => `${name}=${dims.join("x")}`);
  const values = settings.map(({ name }) => `--value ${name}=1`);
  const what = [...(example ? ["sizes with --input"] : []), ...(values.length > 0 ? ["values with --value"] : [])].join(" or ");
  const message = at.guessed
    ? "ONNX Runtime runs the model at none of the sizes tried"
    : `ONNX Runtime does not run the model at ${sizes.join(", ")}`;
  return new FilterBasisError(example ? "shape-mismatch" : "runtime", `${message}${what && `: state ${what}`}`, {
    cures: [
      ...(example ? [`state ${at.guessed ? "the" : "other"} sizes of its inputs, as ${example}`] : []),
      ...(values.length > 0 ? [`state the values of its inputs, as ${values.join(" ")}`] : []),
    ],
    got: short(failure.problem),
    cause: failure,
  });
}

/** ONNX Runtime's reason without the places in its source. */
function short(problem: string): string {
  const text = problem
    .replace(/^ONNX Runtime \(\w+\) failed: /, "")
    .replace(/Non-zero status code returned while running (\S+) node\. Name:'([^']*)' Status Message: /g, "$1 $2: ")
    .replace(/\/\S+\.(cc|h):\d+ /g, "")
    .replace(/\S+ onnxruntime::\S+\(.*?\) /g, "")
    .replace(/\s+/g, " ")
    .trim();
  return text.length > 240 ? `${text.slice(0, 240)}...` : text;
}
