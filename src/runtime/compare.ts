// How far apart two sets of values are, measured against the largest of the reference.
import { FilterBasisError } from "../errors/error.js";
import { elements } from "../graph/attributes.js";
import type { TensorData } from "../graph/types.js";
import { numbers } from "../graph/values.js";

export interface Difference {
  /** The largest |a - b| over the largest |b|, by output; the worst output. 0 where both are 0. */
  readonly relative: number;
  readonly absolute: number;
  /** The name of the output that the figures are of. */
  readonly output: string;
}

/**
 * Compares outputs by name: every output of the reference must be there with the same type and shape.
 * @throws FilterBasisError `verification-failed` (an output missing, another shape or type, NaN or infinity where the
 * reference has none)
 */
export function compareOutputs(
  got: Readonly<Record<string, TensorData>>,
  reference: Readonly<Record<string, TensorData>>,
): Difference {
  let worst: Difference = { relative: 0, absolute: 0, output: Object.keys(reference)[0] ?? "" };
  for (const [output, expected] of Object.entries(reference)) {
    const tensor = got[output];
    if (tensor === undefined)
      throw new FilterBasisError("verification-failed", "an output is missing", { tensor: output });
    const [a, b] = [describe(tensor), describe(expected)];
    if (a !== b)
      throw new FilterBasisError("verification-failed", "an output has another shape or type", {
        tensor: output,
        expected: b,
        got: a,
      });
    const difference = compareTensors(tensor, expected, output);
    if (difference.relative > worst.relative) worst = { ...difference, output };
  }
  return worst;
}

function compareTensors(got: TensorData, expected: TensorData, output: string): Omit<Difference, "output"> {
  if (elements(expected.dims) === 0) return { relative: 0, absolute: 0 };
  const [a, b] = [numbers(got), numbers(expected)];
  let [absolute, largest] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    if (Object.is(x, y)) {
      if (Number.isFinite(y)) largest = Math.max(largest, Math.abs(y));
      continue;
    }
    const difference = Math.abs(x - y);
    if (!Number.isFinite(difference)) {
      throw new FilterBasisError("verification-failed", `value ${i} is not finite on one side`, {
        tensor: output,
        expected: String(y),
        got: String(x),
      });
    }
    absolute = Math.max(absolute, difference);
    largest = Math.max(largest, Math.abs(y));
  }
  return { absolute, relative: absolute === 0 ? 0 : absolute / largest };
}

function describe({ type, dims }: TensorData): string {
  return `${type} [${dims.join(", ")}]`;
}
