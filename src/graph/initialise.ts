// What the parameters of a new network are filled with: PyTorch's initialisers and those of the paper's authors,
// seeded.
import { FilterBasisError } from "../errors/error.js";
import { Random } from "../linalg/random.js";
import { elements, float32Tensor } from "./attributes.js";
import type { TensorData } from "./types.js";

/** What a parameter is for; rules differ by it. */
export type Role =
  | "conv"
  | "conv-bias"
  | "linear"
  | "linear-bias"
  | "basis"
  | "basis-bias"
  | "norm-scale"
  | "norm-shift"
  | "running-mean"
  | "running-variance"
  | "slope";

/** One parameter to fill. Fans are those of the layer that it belongs to: inputs (outputs) times the kernel's area. */
export interface Parameter {
  readonly name: string;
  readonly role: Role;
  readonly dims: readonly number[];
  /** Inputs of one output: (C / groups) * h * w. What PyTorch's own rules use. */
  readonly fanIn: number;
  /** C * h * w and n * h * w, groups not divided out: what the authors' rules use. */
  readonly channelsIn: number;
  readonly channelsOut: number;
}

export type Initialise = (parameter: Parameter) => TensorData;

type Draw = { readonly uniform: number } | { readonly normal: number } | { readonly constant: number };
type Rule = (parameter: Parameter) => Draw;

const uniform = (bound: number): Draw => ({ uniform: bound });
const normal = (deviation: number): Draw => ({ normal: deviation });
const constant = (value: number): Draw => ({ constant: value });

const pytorch: Rule = ({ fanIn }) => uniform(1 / Math.sqrt(fanIn)); // kaiming_uniform_(a = sqrt 5), and its bias
const zero: Rule = () => constant(0);
const one: Rule = () => constant(1);

/** PyTorch's defaults; a basis gets kaiming_uniform_(a = 0) and its bias 0, as the authors do everywhere. */
const standard = {
  conv: pytorch,
  "conv-bias": pytorch,
  linear: pytorch,
  "linear-bias": pytorch,
  basis: ({ fanIn }) => uniform(Math.sqrt(6 / fanIn)),
  "basis-bias": zero,
  "norm-scale": one,
  "norm-shift": zero,
  "running-mean": zero,
  "running-variance": one,
  slope: () => constant(0.25),
} satisfies Record<Role, Rule>;

/** The rules by name. */
const rules = {
  default: standard,
  /**
   * The authors' init_kaiming: convolutions N(0, 2 / (k k C)), linear N(0, 1 / C) with bias 0; biases of convolutions
   * stay PyTorch's.
   */
  kaiming: {
    ...standard,
    conv: ({ channelsIn }) => normal(Math.sqrt(2 / channelsIn)),
    linear: ({ channelsIn }) => normal(Math.sqrt(1 / channelsIn)),
    "linear-bias": zero,
  },
  /** The authors' init_vgg: convolutions N(0, 2 / (k k n)), linear N(0, 0.01^2), all biases 0. */
  vgg: {
    ...standard,
    conv: ({ channelsOut }) => normal(Math.sqrt(2 / channelsOut)),
    "conv-bias": zero,
    linear: () => normal(0.01),
    "linear-bias": zero,
  },
  /** As the authors' EDSR_Basis: coefficients like a basis. */
  "kaiming-uniform": { ...standard, conv: standard.basis, "conv-bias": zero },
  /** Weights 0: for counting, and where trained weights are read next. */
  zeros: { ...standard, conv: zero, "conv-bias": zero, linear: zero, "linear-bias": zero, basis: zero },
} satisfies Record<string, Readonly<Record<Role, Rule>>>;

export type InitRule = keyof typeof rules;
export const initRules = Object.keys(rules) as readonly InitRule[];

/**
 * An initialiser. Each parameter has its own random stream, made of the seed and the parameter's name: the values do
 * not depend on the order in which a network is built, and a rewritten network keeps those of the layers that it
 * skipped.
 */
export function initialiser(rule: InitRule, seed = 1): Initialise {
  const table = rules[rule];
  if (table === undefined)
    throw new FilterBasisError("usage", "unknown initialiser", { expected: initRules.join(", "), got: String(rule) });
  return (parameter) => {
    const values = new Float32Array(elements(parameter.dims));
    const draw = table[parameter.role](parameter);
    if ("constant" in draw) {
      if (draw.constant !== 0) values.fill(draw.constant);
    } else {
      const random = new Random(`${seed} ${parameter.name}`);
      const next =
        "uniform" in draw ? () => (2 * random.next() - 1) * draw.uniform : () => random.normal() * draw.normal;
      for (let i = 0; i < values.length; i++) values[i] = next();
    }
    return float32Tensor(parameter.dims, values);
  };
}
