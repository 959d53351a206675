// One entry of a parity index, and what came out of running it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { FilterBasisError } from "../../src/errors/error.js";
import { readSafetensors } from "../../src/formats/safetensors.js";
import type { TensorData } from "../../src/graph/types.js";
import { floats } from "../../src/graph/values.js";

const entrySchema = z.looseObject({ name: z.string(), kind: z.string() });
const indexSchema = z.looseObject({ fixtures: z.array(entrySchema) });

export type Entry = z.infer<typeof entrySchema>;
export type Tensors = ReadonlyMap<string, TensorData>;

/** What an entry gave: every comparison, and how far it may be off. */
export interface Check {
  readonly what: string;
  /** Largest difference, in the unit of `allowed`. */
  readonly difference: number;
  readonly allowed: number;
}

/** Where the entries' files lie, and how to read them. */
export interface Folder {
  readonly path: string;
  /** Every file is read once for an entry. */
  readonly tensors: (file: string) => Tensors;
  readonly json: (file: string) => unknown;
}

export function openFolder(path: string): Folder {
  const read = (file: string): Buffer => {
    try {
      return readFileSync(join(path, file));
    } catch (cause) {
      throw new FilterBasisError("not-found", "cannot read a file of the index", {
        file: join(path, file),
        cause,
        got: String(cause),
      });
    }
  };
  const json = (file: string): unknown => {
    try {
      return JSON.parse(read(file).toString("utf8"));
    } catch (cause) {
      if (cause instanceof FilterBasisError) throw cause;
      throw new FilterBasisError("malformed", "the file is not JSON", { file, cause });
    }
  };
  return { path, json, tensors: (file) => readSafetensors(read(file), { file }).tensors };
}

export function readIndex(folder: Folder): readonly Entry[] {
  return parse(indexSchema, folder.json("index.json"), "index.json").fixtures;
}

/** Checks a part of an entry; the error names the field. */
export function parse<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.map(({ path, message }) => `${path.join(".") || "(whole)"}: ${message}`);
  throw new FilterBasisError("malformed", issues.join("; "), { field: where });
}

export function need(tensors: Tensors, name: string): TensorData {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new FilterBasisError("malformed", "the file lacks a tensor", { tensor: name });
  return tensor;
}

/** The largest absolute difference of two tensors; infinite where their shapes differ or one is not finite. */
export function largestDifference(a: TensorData, b: TensorData): number {
  if (a.dims.length !== b.dims.length || a.dims.some((dim, i) => dim !== b.dims[i])) return Number.POSITIVE_INFINITY;
  const [left, right] = [floats(a), floats(b)];
  let largest = 0;
  for (let i = 0; i < left.length; i++) {
    const difference = Math.abs((left[i] as number) - (right[i] as number));
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return largest;
}

export function largest(tensor: TensorData): number {
  return floats(tensor).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}
