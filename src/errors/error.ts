// The one error class of the project: a stable code, where it happened, what was expected and what came.

/** Stable codes; scripts may rely on them. A code never changes its meaning. */
export type ErrorCode =
  | "usage" // a command or function was called wrongly
  | "not-found" // a file, name or node that should exist does not
  | "io" // the operating system refused
  | "malformed" // bytes that are not what their format says
  | "unsupported" // valid, but not handled here
  | "invalid-graph" // a graph that breaks the rules of ONNX
  | "shape-mismatch"
  | "type-mismatch"
  | "too-large" // a limit on size, memory or time
  | "out-of-memory" // the device, or the machine, has no room for a tensor
  | "budget-unreachable"
  | "does-not-pay" // the result would be no better than the file that was given
  | "loses-function" // the result is too far from the original
  | "invalid-plan" // splits or basis sizes that cannot be
  | "invalid-recipe"
  | "non-finite" // NaN or infinite weights, loss or data
  | "engine-missing" // libtorch or the addon is not there
  | "engine" // libtorch refused a call
  | "runtime-missing" // ONNX Runtime is not there
  | "runtime" // ONNX Runtime refused a model
  | "verification-failed" // what was written does not compute what it should
  | "checksum"
  | "data-mismatch" // data that does not fit the model
  | "busy" // somebody else holds the folder
  | "interrupted"
  | "internal"; // a bug here

/** Where an error happened. Every field is optional; all are printed. */
export interface ErrorPlace {
  readonly file?: string;
  readonly node?: string;
  readonly op?: string;
  readonly tensor?: string;
  readonly field?: string;
  readonly layer?: string;
}

export interface ErrorDetails extends ErrorPlace {
  readonly expected?: string;
  readonly got?: string;
  readonly cures?: readonly string[];
  /** What was found out, as plain data for `--json`: what a budget could reach, say, layer by layer. */
  readonly facts?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** Every error that the project throws on purpose. */
export class FilterBasisError extends Error {
  override readonly name = "FilterBasisError";
  readonly code: ErrorCode;
  readonly place: ErrorPlace;
  readonly expected: string | undefined;
  readonly got: string | undefined;
  readonly cures: readonly string[];
  readonly facts: Readonly<Record<string, unknown>>;
  /** What went wrong, without the place and the difference that `message` adds. */
  readonly problem: string;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    const { expected, got, cures = [], facts = {}, cause, ...place } = details;
    super(sentence(message, place, expected, got), cause === undefined ? undefined : { cause });
    this.code = code;
    this.place = place;
    this.expected = expected;
    this.got = got;
    this.cures = cures;
    this.facts = facts;
    this.problem = message;
  }

  /**
   * The same error with what the caller knows about its place (the file, say); what it says of its place itself stays.
   */
  at(place: ErrorPlace): FilterBasisError {
    return this.#with({ ...place, ...this.place });
  }

  /** The same error with further cures. */
  curedBy(...cures: readonly string[]): FilterBasisError {
    return this.#with({ cures: [...this.cures, ...cures] });
  }

  /** The same error with more that was found out. */
  knowing(facts: Readonly<Record<string, unknown>>): FilterBasisError {
    return this.#with({ facts: { ...this.facts, ...facts } });
  }

  #with(more: ErrorDetails): FilterBasisError {
    const { expected, got, cause, stack, place, cures, facts } = this;
    const details = { ...place, cures, facts, ...(expected && { expected }), ...(got && { got }), ...more };
    const made = new FilterBasisError(this.code, this.problem, cause === undefined ? details : { ...details, cause });
    if (stack !== undefined) made.stack = stack.replace(this.message, made.message);
    return made;
  }

  /** The error as plain data, for `--json`. */
  toJSON(): object {
    const { code, message, place, expected, got, cures, facts } = this;
    return { code, message, ...place, expected, got, cures, ...facts };
  }
}

function sentence(message: string, place: ErrorPlace, expected: string | undefined, got: string | undefined): string {
  const where = Object.entries(place).map(([key, value]) => `${key} ${JSON.stringify(value)}`);
  const difference = [expected && `expected ${expected}`, got && `got ${got}`].filter(Boolean).join(", ");
  return [where.length > 0 ? `${where.join(", ")}: ` : "", message, difference && ` (${difference})`].join("");
}

/** True for errors of this project with one of the given codes (any code when none is given). */
export function isError(error: unknown, ...codes: ErrorCode[]): error is FilterBasisError {
  return error instanceof FilterBasisError && (codes.length === 0 || codes.includes(error.code));
}
