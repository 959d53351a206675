// A page writes no files; what it makes is downloaded.
import { FilterBasisError } from "../../src/errors/error.js";
import type * as original from "../../src/runtime/write.js";

const refuse = async (): Promise<never> => {
  throw new FilterBasisError("unsupported", "a page writes no files");
};

export const writeAside: typeof original.writeAside = refuse;

export const syncFolder: typeof original.syncFolder = refuse;
