// What a training is: network, compression, data, loss, optimiser, schedule. Checked by one schema, whose defaults
// are the common case.
import * as z from "zod";
import { fits } from "../data/codec.js";
import { channelOrders } from "../data/inputs.js";
import { FilterBasisError } from "../errors/error.js";
import type { Method } from "../methods/method.js";
import { type MethodName, methods } from "../methods/methods.js";
import { optionFaults } from "../methods/options.js";
import { defaultDevice, deviceForms, devicePattern } from "../torch/device.js";

const positive = z.number().positive();
const count = z.int().positive();

const network = z
  .looseObject({
    name: z
      .string()
      .optional()
      .describe("a network of the zoo (`filterbasis nets` lists them); further fields are its options"),
    file: z.string().optional().describe("an ONNX file: instead of a name, or the trained network of that name"),
  })
  .refine((value) => value.name !== undefined || value.file !== undefined, { error: "expected a name or a file" });

/** A method and its options, which are the method's own. */
const compression = z
  .looseObject({
    method: z.string().default("basis").describe("a method of `filterbasis methods`; further fields are its options"),
  })
  .superRefine(({ method, ...options }, context) => {
    const known = Object.hasOwn(methods, method);
    const faults = known ? optionFaults(methods[method as MethodName].options, options) : [];
    for (const { field, problem } of faults)
      context.addIssue({ code: "custom", message: problem, path: field.split(".").filter(Boolean) });
    if (!known)
      context.addIssue({
        code: "custom",
        message: `expected a method: ${Object.keys(methods).join(", ")}`,
        path: ["method"],
      });
  });

const data = z.strictObject({
  name: z
    .string()
    .default("cifar10")
    .describe(
      "a data set by name or path (cifar10, div2k, set5, ...); folder, or pairs for super-resolution: what lies in `folder`",
    ),
  folder: z.string().optional().describe("a data set by name or path, or where the one named is kept"),
  batch: count.default(128),
  augment: z
    .boolean()
    .default(true)
    .describe("random crop and flip for classification; flips and transposes for super-resolution"),
  normalize: z.string().default("cifar10").describe("cifar10, imagenet, none, m,m,m/s,s,s or m/s"),
  subset: count.optional().describe("only the first N training images"),
  testSubset: count.optional().describe("evaluate on the first N test images only (for trials)"),
  dropLast: z.boolean().default(false),
  scale: z.union([z.literal(2), z.literal(3), z.literal(4)]).optional(),
  patch: count.optional().describe("side of a high-resolution patch, in pixels"),
  range: z
    .union([z.literal(1), z.literal(255)])
    .optional()
    .describe("largest pixel value that the network sees"),
  stepsPerEpoch: count.optional().describe("for patches: batches that make an epoch"),
  exclude: z.array(z.string()).default([]).describe("file names left out"),
  test: z.string().optional().describe("super-resolution: the data set to measure on, by name or path"),
  labels: z
    .boolean()
    .default(true)
    .describe("false: with loss.task none, images go in as images without labels do, though the data has labels"),
  channels: z.enum(channelOrders).optional().describe("images without labels: the network's channels; default rgb"),
  fit: z.enum(fits).optional().describe("images without labels: how they are brought to the network's size"),
  lowResolution: z
    .strictObject({
      scale: z.union([z.literal(2), z.literal(3), z.literal(4)]),
      enlarge: z.boolean().default(false).describe("enlarged again (bicubic), for networks that only sharpen"),
    })
    .optional()
    .describe("images without labels: reduced by this scale before they go in"),
  // 0 by default: making a batch takes a few hundredths of a step at most, and where cores are few a loader takes
  // them from the steps.
  loaders: z
    .int()
    .min(0)
    .default(0)
    .describe(
      "threads that make the next batches ahead, no more than compute; 0: the training thread makes them; the weights are the same",
    ),
});

const loss = z.strictObject({
  task: z
    .enum(["cross-entropy", "l1", "mse", "none"])
    .default("cross-entropy")
    .describe("none: trains by distillation alone, without labels"),
  labelSmoothing: z.number().min(0).max(1).default(0),
  gamma: z.number().min(0).default(0).describe("weight of sum ||W - BA||_F^2 (Eq. 12)"),
  sparsity: z
    .number()
    .min(0)
    .optional()
    .describe("weight of sum |scale| over batch norms: the sparsity training of network slimming"),
  anneal: z.enum(["none", "linear", "cosine"]).default("none").describe("how gamma falls to 0 over the training"),
  distill: z
    .strictObject({
      weight: z.number().min(0).default(1),
      temperature: positive.default(4),
      kind: z.enum(["soft-targets", "l1", "mse"]).default("soft-targets"),
    })
    .optional()
    .describe("train on the original network's outputs too"),
});

const optimizer = z.discriminatedUnion("name", [
  z.strictObject({
    name: z.literal("sgd"),
    lr: positive.default(0.1),
    momentum: z.number().min(0).max(1).default(0.9),
    nesterov: z.boolean().default(false),
    weightDecay: z.number().min(0).default(1e-4),
    clip: positive.optional().describe("largest norm of all gradients together"),
  }),
  z.strictObject({
    name: z.literal("adam"),
    lr: positive.default(1e-4),
    betas: z.tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)]).default([0.9, 0.999]),
    eps: positive.default(1e-8),
    weightDecay: z.number().min(0).default(0),
    clip: positive.optional(),
  }),
]);

const warmup = z.number().min(0).default(0).describe("epochs over which the rate grows linearly");
const schedule = z.discriminatedUnion("name", [
  z.strictObject({ name: z.literal("constant"), warmup }),
  z.strictObject({
    name: z.literal("step"),
    milestones: z.array(z.number().min(0)).optional(),
    every: count.optional(),
    factor: positive.default(0.1),
    warmup,
  }),
  z.strictObject({
    name: z.literal("cosine"),
    minimum: z.number().min(0).default(0),
    per: z.enum(["step", "epoch"]).default("step"),
    warmup,
  }),
]);

export const recipeSchema = z.strictObject({
  name: z.string().regex(/^[\w.-]+$/, { error: "expected letters, digits, dots, dashes and underscores" }),
  description: z.string().optional(),
  table: z
    .looseObject({ number: count, row: z.string() })
    .optional()
    .describe("the row of the paper that this recipe stands for"),
  network,
  compress: compression.optional(),
  start: z
    .string()
    .min(1)
    .optional()
    .describe(
      "a model made of the network, as `compress` writes it: training begins from it, the network's outputs teach",
    ),
  calibrate: z
    .int()
    .min(0)
    .default(0)
    .describe("calibration batches: the compression keeps the layers' outputs on them rather than their filters"),
  recalibrate: z.int().min(0).default(0).describe("batches that set the batch-norm statistics anew after compression"),
  data: data.prefault({}),
  loss: loss.prefault({}),
  train: z
    .enum(["all", "basis"])
    .default("all")
    .describe("which parameters are trained: all, or only bases and coefficients"),
  optimizer: optimizer.prefault({ name: "sgd" }),
  schedule: schedule.prefault({ name: "cosine" }),
  epochs: positive.default(1),
  steps: z
    .int()
    .min(0)
    .optional()
    .describe("ends after so many steps, whatever `epochs` says; 0: only what `calibrate` and `recalibrate` do"),
  seed: z.int().min(0).default(1),
  threads: count.optional(),
  device: z
    .string()
    .regex(devicePattern, { error: `expected ${deviceForms}` })
    .default(defaultDevice)
    .describe(`device to train on: ${deviceForms}`),
  precision: z
    .enum(["float32", "bfloat16", "float16"])
    .default("float32")
    .describe(
      "of convolutions and products while training; weights, statistics and losses stay float32; float16 scales the loss",
    ),
  rounding: z
    .enum(["none", "straight-through"])
    .default("none")
    .describe(
      "straight-through: `start`, else `network.file`, is in eight bits and stays so; its weights learn rounded",
    ),
  deterministic: z
    .boolean()
    .default(false)
    .describe("on a GPU: kernels whose sums have one order, so that a run that goes on ends bit for bit the same"),
  checkpoint: z.strictObject({ everySteps: count.optional(), keep: count.default(2) }).prefault({}),
  selfEnsemble: z
    .boolean()
    .default(false)
    .describe("super-resolution is evaluated on the mean of eight flipped and turned versions"),
});

/** A recipe with every default filled in. */
export type Recipe = z.infer<typeof recipeSchema>;

/**
 * Checks a recipe; the error names every wrong field, what it should be and what it is.
 * @example
 * ```ts
 * import { listRecipes, loadRecipe, parseRecipe, recipeJsonSchema } from "filterbasis";
 *
 * const recipe = parseRecipe({ name: "mine", network: { name: "resnet20" }, compress: { keepParams: 0.5 } });
 * console.log(recipe.optimizer, Object.keys(recipeJsonSchema()));
 * const [file] = await listRecipes();
 * console.log(await loadRecipe(file, ["seed=2"]));
 * ```
 */
export function parseRecipe(value: unknown, file?: string): Recipe {
  const result = recipeSchema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => {
    const field = issue.path.join(".") || "(whole)";
    const got = show(
      issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key as string], value),
    );
    return `${field}: ${issue.message}, got ${got}`;
  });
  throw new FilterBasisError("invalid-recipe", faults.join("; "), {
    ...(file === undefined ? {} : { file }),
    field: result.error.issues[0]?.path.join(".") ?? "",
  });
}

function show(value: unknown): string {
  const text = value === undefined ? "nothing" : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** The options of every method beside its name; without a name they are the default's. */
function compressionSchema({ properties }: { readonly properties?: object }): object {
  const all = Object.values<Method>(methods);
  const anyOf = [...new Set(all.map(({ options }) => options))].map((options) => {
    const names = all.filter((method) => method.options === options).map(({ name }) => name);
    const { $schema, ...own } = z.toJSONSchema(z.strictObject({ method: z.enum(names), ...options }), { io: "input" });
    return { ...own, required: own.required?.filter((field) => field !== "method" || !names.includes("basis")) };
  });
  return { properties, anyOf };
}

/**
 * The schema for editors. A recipe that extends another holds only differences, which can be evaluated only together
 * with it.
 */
export function recipeJsonSchema(): object {
  const { $schema, ...whole } = z.toJSONSchema(recipeSchema, {
    io: "input",
    override({ zodSchema, jsonSchema }) {
      if (zodSchema === compression) Object.assign(jsonSchema, compressionSchema(jsonSchema));
    },
  });
  const parent = { type: "string", description: "another recipe, by file or name" };
  return { $schema, anyOf: [{ type: "object", properties: { extends: parent }, required: ["extends"] }, whole] };
}
