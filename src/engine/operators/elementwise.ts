// Arithmetic, element by element, with ONNX's broadcasting.
import { call } from "./aten.js";
import type { Lowering } from "./site.js";
import { first, tensor } from "./values.js";

const relu: Lowering = () => (inputs, run) => call(run.inPlace ? "relu_" : "relu", first(inputs));
const add: Lowering = () => (inputs, run) => call(run.inPlace ? "add_.Tensor" : "add.Tensor", first(inputs), tensor(inputs[1]));
const mul: Lowering = () => (inputs) => call("mul.Tensor", first(inputs), tensor(inputs[1]));

export const elementwise = { Relu: relu, Add: add, Mul: mul } satisfies Record<string, Lowering>;
