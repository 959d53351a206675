// Operators: what each of them is, and what follows from that for a graph without running it.
export { type Cost, cost, type LayerCost } from "./cost/cost.js";
export { inferShapes } from "./infer.js";
export { type ChosenSizes, chooseInputs, type InputSizes } from "./sizes/concrete-inputs.js";
export { verifyGraph } from "./verify/verify.js";
