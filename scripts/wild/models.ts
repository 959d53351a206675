// The networks of the table: real ones from public repositories, by the name of their file.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { fetched } from "../../test/fetched.js";
import { noShared, shared } from "../../test/shared.js";

export interface WildModel {
  /** The file's name without ".onnx". */
  readonly name: string;
  readonly path: string;
  /** Every budget command must write it. */
  readonly mustBeWritten: boolean;
}

const folders = ["wild", "data/models"];

const mustBeWritten = [
  /^candy$/,
  /^prisma_nchw$/,
  /^SqueezeNet_fp16$/,
  /^ppocrv3_det$/,
  /^SINet$/,
  /^super_resolution_10$/,
  /^espcn_nnresize_float$/,
  /^vdsr$/,
  /^imdn_/,
  /^resnet(20|56)/,
];

/** Every model, by name. @throws Error where the reference data is missing */
export function wildModels(): readonly WildModel[] {
  const found = folders.flatMap((folder) => {
    const path = shared(folder);
    return path === undefined ? [] : readdirSync(path).map((file) => join(path, file));
  });
  const models = found.filter((path) => path.endsWith(".onnx"));
  if (models.length === 0) throw new Error(noShared);
  return models.map(modelOf).sort((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1));
}

/** Networks that scripts/get-networks.mjs fetches, where they are in the cache. */
export function fetchedModels(): readonly WildModel[] {
  const paths = ["isnet", "ppocrv4_det", "ppocrv4_rec"].map(fetched);
  return paths.filter((path) => path !== undefined).map(modelOf);
}

/** Networks of this project, as they ship. */
export const ownModels = (): readonly WildModel[] =>
  ["edsr-8-56-x2", "vgg16-half"].map((name) =>
    modelOf(fileURLToPath(new URL(`../../weights/${name}.onnx`, import.meta.url))),
  );

function modelOf(path: string): WildModel {
  const name = basename(path, ".onnx");
  return { name, path, mustBeWritten: mustBeWritten.some((pattern) => pattern.test(name)) };
}

/** Where each network comes from, as its folder's list says: "owner/repository (licence)". */
export function sources(): ReadonlyMap<string, string> {
  const list = shared("wild/models.tsv");
  if (list === undefined || !existsSync(list)) return new Map();
  const lines = readFileSync(list, "utf8").trim().split("\n").slice(1);
  return new Map(
    lines.map((line): [string, string] => {
      const [file = "", source = "", , licence = ""] = line.split("\t");
      return [basename(file, ".onnx"), `${source.split(":")[0]} (${licence})`];
    }),
  );
}
