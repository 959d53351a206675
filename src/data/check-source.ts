// Whether a data set that is named is there at all: asked before a model is read and opened for it.
import { stat } from "node:fs/promises";
import { FilterBasisError } from "../errors/error.js";
import { nearest } from "../errors/nearest.js";
import { pictureSets } from "./picture-sets.js";

/** @throws FilterBasisError `not-found` where it is neither a data set's name nor a file or folder */
export async function checkDataSource(source: string): Promise<void> {
  const names = ["cifar10", ...Object.keys(pictureSets)];
  if (names.includes(source) || (await stat(source).catch(() => undefined)) !== undefined) return;
  throw new FilterBasisError("not-found", `there is no such data${nearest(source, names, "")}`, {
    file: source,
    expected: `${names.join(", ")}, an archive or a folder`,
  });
}
