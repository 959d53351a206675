// A page has no libtorch.
import { FilterBasisError } from "../../src/errors/error.js";

export const engineInfo = (): never => {
  throw new FilterBasisError("engine-missing", "a page has no libtorch");
};

/** Of the addon that keeps freed memory. */
export const keepFreedMemory = () => (): void => undefined;
export const returnFreedMemory = (): void => undefined;
