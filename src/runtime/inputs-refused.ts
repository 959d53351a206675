// The error for a model that ran with none of the inputs tried: what ONNX Runtime said, and what can be stated instead.
import { FilterBasisError } from "../errors/error.js";
import type { Value } from "../graph/types.js";
import type { InputSizes } from "../ops/sizes/concrete-inputs.js";

/** What ONNX Runtime said to the first sizes, when it has refused all. */
export interface Refused {
  readonly failure: FilterBasisError;
  readonly at: InputSizes;
}

/** What the user can state. */
export interface Statable {
  /** True where the model leaves sizes free. */
  readonly sizes: boolean;
  /** The option that states some: where all that were tried failed, only its form is right. */
  readonly example?: string | undefined;
  /** Inputs whose values nobody stated. */
  readonly settings: readonly Value[];
}

export function inputsRefused({ failure, at }: Refused, { sizes, example, settings }: Statable): FilterBasisError {
  const shapes = [...at.shapes].map(([name, dims]) => `${name}=${dims.join("x")}`);
  const values = settings.map(({ name }) => `--value ${name}=1`);
  const what = [...(sizes ? ["sizes with --input"] : []), ...(values.length > 0 ? ["values with --value"] : [])].join(
    " or ",
  );
  const message = at.guessed
    ? "ONNX Runtime runs the model at none of the sizes tried"
    : `ONNX Runtime does not run the model at ${shapes.join(", ")}`;
  return new FilterBasisError(sizes ? "shape-mismatch" : "runtime", `${message}${what && `: state ${what}`}`, {
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
    .replace(/(\S+ )?onnxruntime::\S+?\([^)]*\) /g, "")
    .replace(/\s+/g, " ")
    .trim();
  return text.length > 240 ? `${text.slice(0, 240)}...` : text;
}
