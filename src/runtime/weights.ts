// Weight files on disk: safetensors and what torch.save wrote, told apart by their first bytes.
import { readFile } from "node:fs/promises";
import { FilterBasisError, isError } from "../errors/error.js";
import { type Identified, identify, notWanted } from "../formats/foreign/identify.js";
import { readPyTorch } from "../formats/pytorch.js";
import { readSafetensors, writeSafetensors } from "../formats/safetensors.js";
import { isZip } from "../formats/zip.js";
import type { TensorData } from "../graph/types.js";
import { writeAside } from "./write.js";

export interface WeightFile {
  readonly tensors: ReadonlyMap<string, TensorData>;
  /** Further names of tensors that the file holds once (safetensors metadata `aliases`, JSON). */
  readonly aliases: Readonly<Record<string, string>>;
}

/**
 * Reads weights by name.
 * @throws FilterBasisError `not-found`, `io`, `malformed`, `unsupported`
 */
export async function readWeights(file: string): Promise<WeightFile> {
  const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    const missing = cause.code === "ENOENT";
    throw new FilterBasisError(
      missing ? "not-found" : "io",
      missing ? "there is no such file" : "cannot read the weights",
      {
        file,
        got: cause.code ?? String(cause),
        cause,
      },
    );
  });
  try {
    if (isZip(bytes) || bytes[0] === 0x80) return { tensors: readPyTorch(bytes, { file }), aliases: {} };
    const { tensors, metadata } = readSafetensors(bytes, { file });
    return { tensors, aliases: readAliases(metadata.get("aliases"), file) };
  } catch (error) {
    const found = isError(error, "malformed", "unsupported") ? identify(bytes, { name: file }) : undefined;
    if (found === undefined || holdsWeights.includes(found.kind)) throw error;
    const cures = ["give a safetensors file, or what torch.save wrote"];
    throw notWanted(found, { wanted: "a file of weights", file, cures, cause: error });
  }
}

/** Of these the readers' own errors say more. */
const holdsWeights: readonly Identified["kind"][] = ["safetensors", "pytorch", "torchscript", "pickle"];

/** Writes a safetensors file: aside, synced, renamed. */
export async function writeWeights(
  file: string,
  tensors: ReadonlyMap<string, TensorData>,
  metadata: ReadonlyMap<string, string> = new Map(),
): Promise<void> {
  await writeAside(file, writeSafetensors(tensors, metadata));
}

function readAliases(text: string | undefined, file: string): Readonly<Record<string, string>> {
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && Object.values(value).every((of) => typeof of === "string"))
      return value as Record<string, string>;
  } catch {
    // falls through to the error below
  }
  throw new FilterBasisError("malformed", "the aliases are not a JSON object of names", {
    file,
    field: "__metadata__.aliases",
  });
}
