// A page has no libtorch.
import { FilterBasisError } from "../../src/errors/error.js";

export const engineInfo = (): never => {
  throw new FilterBasisError("engine-missing", "a page has no libtorch");
};

/** Of the addon that gives memory back to the system. */
export const returnFreedMemory = () => (): void => undefined;
