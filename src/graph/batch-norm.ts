// Whether a BatchNormalization computes with the statistics of its batch (training mode) or with those that it is given.
import { readInt } from "./attributes.js";
import type { Node } from "./types.js";

/**
 * Why a BatchNormalization computes with the statistics of its batch, or undefined where it uses those that it is given. Since opset 14 an
 * attribute says so; before, outputs after the first ask for it, read or not; before opset 7 it was the default (onnx/docs/Changelog.md).
 */
export function trainingMode(node: Node, opset: number): string | undefined {
  if (opset >= 14) return readInt(node, "training_mode", 0) === 0 ? undefined : "it runs in training mode (training_mode = 1)";
  if (node.outputs.slice(1).some((output) => output !== ""))
    return "it runs in training mode: before opset 14, outputs after the first ask for that, read or not";
  if (opset < 7 && readInt(node, "is_test", 0) === 0)
    return "it runs in training mode (is_test = 0, which is the default before opset 7)";
  return undefined;
}
