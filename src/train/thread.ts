// Threads of a training: how one is started on a file of this folder, and how its errors cross to whoever waits for it.
import { Worker } from "node:worker_threads";
import { type ErrorCode, type ErrorDetails, FilterBasisError } from "../errors/error.js";

/** A thread on a file of this folder. Where the sources run as they are, it is taught TypeScript first. */
export function startThread(name: "worker" | "loader", workerData: unknown): Worker {
  const file = new URL(`./${name}.js`, import.meta.url);
  if (!import.meta.url.endsWith(".ts")) return new Worker(file, { workerData });
  const tsx = import.meta.resolve("tsx/esm/api"); // wherever the program was started
  const taught = `import(${JSON.stringify(tsx)}).then(({ register }) => { register(); return import(${JSON.stringify(file.href)}); })`;
  return new Worker(taught, { workerData, eval: true });
}

/** An error as a message holds it: classes do not cross between threads. */
export interface ErrorMessage {
  /** Absent where it was no error of this project. */
  readonly code?: ErrorCode;
  readonly problem: string;
  readonly details: ErrorDetails;
  readonly stack?: string;
}

export function errorToMessage(error: unknown): ErrorMessage {
  const stack = error instanceof Error && error.stack !== undefined ? { stack: error.stack } : {};
  if (!(error instanceof FilterBasisError))
    return { problem: error instanceof Error ? error.message : String(error), details: {}, ...stack };
  const { code, problem, place, expected, got, cures, facts } = error;
  return {
    code,
    problem,
    details: { ...place, cures, facts, ...(expected && { expected }), ...(got && { got }) },
    ...stack,
  };
}

export function errorFromMessage({ code, problem, details, stack }: ErrorMessage): Error {
  const error = code === undefined ? new Error(problem) : new FilterBasisError(code, problem, details);
  return stack === undefined ? error : Object.assign(error, { stack });
}
