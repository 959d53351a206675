// From the addon's errors to the project's one error.
import { type ErrorDetails, FilterBasisError } from "../errors/error.js";

/**
 * Turns whatever a native call threw into a FilterBasisError of code `engine` that names the operator and its schema.
 */
export function engineError(error: unknown, op: string, schemas: () => readonly string[] = () => []): FilterBasisError {
  if (error instanceof FilterBasisError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const known = schemas();
  const details: ErrorDetails = { op, cause: error, ...(known.length > 0 && { expected: known.join(" | ") }) };
  return new FilterBasisError("engine", message, details);
}

/** Runs a native function that is no operator. */
export function guarded<T>(name: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw engineError(error, name);
  }
}
