// Rounded weights add something to a layer's outputs on average, for their inputs are seldom 0 on average:
// (W - W~) E[x] is what the bias must gain for the mean to stay.
import { readInt } from "../../graph/attributes.js";
import type { Node, TensorData } from "../../graph/types.js";
import { numbers } from "../../graph/values.js";

/**
 * @param rounded - the weight as it will be read, row-major as `weight`
 * @param means - E[x] of each channel that the layer reads (each feature of a fully connected layer)
 * @param missing - what these inputs lack on average, for the layer before left it to this one
 * @returns what is to be added to the bias of each output
 */
export function biasShift(
  node: Node,
  weight: TensorData,
  rounded: ArrayLike<number>,
  means: ArrayLike<number>,
  missing: ArrayLike<number> = [],
): Float64Array {
  const exact = numbers(weight);
  const added = (i: number, input: number): number =>
    (exact[i]! - rounded[i]!) * (means[input] ?? 0) + rounded[i]! * (missing[input] ?? 0);
  if (node.op !== "Conv") {
    const [rows, columns] = weight.dims as [number, number];
    const outputsFirst = readInt(node, "transB", 0) !== 0;
    const shift = new Float64Array(outputsFirst ? rows : columns);
    for (let i = 0; i < exact.length; i++) {
      const [row, column] = [Math.floor(i / columns), i % columns];
      const [output, input] = outputsFirst ? [row, column] : [column, row];
      shift[output]! += added(i, input);
    }
    return shift;
  }
  const [outputs, perGroup, ...kernel] = weight.dims as [number, number, ...number[]];
  const area = kernel.reduce((product, size) => product * size, 1);
  const perGroupOutputs = outputs / readInt(node, "group", 1);
  const shift = new Float64Array(outputs);
  for (let i = 0; i < exact.length; i++) {
    const output = Math.floor(i / (perGroup * area));
    const input = Math.floor(output / perGroupOutputs) * perGroup + (Math.floor(i / area) % perGroup);
    shift[output]! += added(i, input);
  }
  return shift;
}
