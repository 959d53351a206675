// Who runs networks for a calibration: libtorch where it can be loaded, and ONNX Runtime for what libtorch cannot run.
import type { Engine } from "../calibrate/engine.js";
import { ortEngine } from "../calibrate/ort-engine.js";
import { torchEngine } from "../calibrate/torch-engine.js";
import { isError } from "../errors/error.js";
import { type Device, unloadableReason } from "../torch/index.js";

/**
 * libtorch on a device, by default the processor. Without libtorch all is slower; with it only graphs of operators that it does not know (convolutions in integers, If,
 * Loop).
 */
export const bestEngine = (device?: Device): Engine =>
  unloadableReason() === undefined ? elseBy(torchEngine(device), ortEngine()) : ortEngine();

/**
 * Who computes in floats what a file rounds and computes in integers: ONNX Runtime only with all of its rewriting off,
 * with which pairs of QuantizeLinear and DequantizeLinear are what they say.
 */
export function simulationEngine(): Engine {
  const plain = ortEngine({ optimisation: "disabled" });
  return unloadableReason() === undefined ? elseBy(torchEngine(), plain) : plain;
}

/** The first engine, whose place the second takes for graphs that the first does not run. */
export function elseBy(first: Engine, second: Engine): Engine {
  return {
    ...first,
    async open(graph) {
      try {
        return await first.open(graph);
      } catch (error) {
        if (!isError(error, "unsupported")) throw error;
        return second.open(graph);
      }
    },
  };
}
