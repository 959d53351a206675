// What the table holds: one row an operation and network, and what is known of each network itself.
import type { OutputDifference } from "./runner.js";

export interface ModelFacts {
  readonly name: string;
  readonly source: string;
  readonly bytes: number;
  /** Input sizes at which it was run, timed and counted. */
  readonly sizes: Readonly<Record<string, readonly number[]>>;
  /** Why ONNX Runtime does not run it; absent where it does. */
  readonly why?: string;
  /** Counted by this project's library on the file as given; absent where it cannot count it. */
  readonly weights?: number;
  readonly macs?: number;
  /**
   * Convolutions in one group whose weights are floating-point constants, however they are stored: what there is to
   * compress.
   */
  readonly convolutions?: number;
  /** The most memory of a process that only runs it. */
  readonly peakMiB?: number;
  /** What optimising changes in its own outputs: ONNX Runtime at its lowest level against its highest. */
  readonly noise: readonly OutputDifference[];
}

/** Milliseconds a run: medians over rounds in turns. */
export interface Times {
  readonly original: { readonly cpu: number; readonly wall: number };
  readonly written: { readonly cpu: number; readonly wall: number };
  /** Written over original, process CPU time: the median of the rounds' ratios. */
  readonly ratio: number;
  readonly rounds: number;
  /** Where the first measurement said "slower": the ratios of all three, of which this is the middle one. */
  readonly ratios?: readonly number[];
}

export interface Exactness {
  readonly against: "original" | "compressed";
  readonly outputs: readonly (OutputDifference & { readonly allowed: number; readonly within: boolean })[];
  readonly failure?: string;
}

export interface Row {
  readonly model: string;
  readonly operation: string;
  readonly commit: string;
  /** `answered`, `written`, `nothing-to-undo`, or the code of the error. */
  readonly outcome: string;
  readonly message?: string;
  /** What the error says can be reached at least. */
  readonly reachable?: number;
  /** What its table of all layers' best candidates adds up to. */
  readonly best?: number;
  /** Bytes that an error compares: what would have been written is larger. */
  readonly larger?: { readonly original: number; readonly written: number };
  /** The first cure that a refused budget names, tried. */
  readonly cure?: { readonly words: string; readonly outcome: string };
  readonly seconds: number;
  readonly peakMiB: number;
  /** Written over original, by the library's counts on both files. */
  readonly kept?: { readonly weights: number; readonly macs: number; readonly uncounted: number };
  readonly bytes?: number;
  /** What the command says and the file has, where they differ. */
  readonly miscounted?: readonly string[];
  readonly difference?: readonly OutputDifference[];
  readonly exactness?: Exactness;
  readonly times?: Times;
  /** Where `plan` with the same options says something else. */
  readonly planDiffers?: readonly string[];
  /** ONNX Runtime's own words on the terminal. */
  readonly runtimeText?: string;
  readonly violations: readonly Violation[];
}

export type ViolationKind =
  | "raw message"
  | "refused"
  | "unproven refusal"
  | "cure fails"
  | "must be written"
  | "over budget"
  | "larger"
  | "slower"
  | "plan differs"
  | "not exact"
  | "miscounted"
  | "memory"
  | "runtime's words";

export interface Violation {
  readonly kind: ViolationKind;
  readonly what: string;
}
