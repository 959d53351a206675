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
  if ((error as { code?: unknown } | undefined)?.code === "out-of-memory")
    return new FilterBasisError("out-of-memory", firstSentences(message), { op, cause: error, cures: memoryCures });
  return new FilterBasisError("engine", message, details);
}

const memoryCures = [
  "a smaller batch: --batch N, or data.batch in a recipe",
  "another device: --device cpu, or a GPU that nothing else uses",
];

/** What libtorch says of the device's memory, without its advice on environment variables. */
const firstSentences = (message: string): string => message.split(/ If reserved| See documentation|\n/)[0]!.trim();

/** Runs a native function that is no operator. */
export function guarded<T>(name: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw engineError(error, name);
  }
}
