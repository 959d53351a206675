// What the page and its worker say to each other: one request at a time, its progress, its answer.
import type { CurvePoint } from "../src/compress/solve-calibrated.js";
import type { ErrorCode } from "../src/errors/error.js";
import type { LossKind } from "../src/evaluate/loss.js";
import type { CompressionReport, Picture } from "../src/report/compression.js";
import type { KnownTimes } from "./host/latency-table.js";

/** Where a page's networks run: on the processor, or on the GPU. */
export type PageDevice = "wasm" | "webgpu";

export interface NamedFile {
  readonly name: string;
  readonly file: Blob;
}

export interface LayerRow {
  readonly name: string;
  readonly op: string;
  /** The weight's shape where it is known, e.g. 56 x 56 x 3 x 3; else the output's. */
  readonly shape: string;
  readonly parameters: number;
  readonly macs: number;
  /** In which it computes. */
  readonly precision: "int8" | "fp32";
  /** What can be done; undefined where there is a reason why not. */
  readonly reason?: string;
}

export interface Opened {
  readonly name: string;
  readonly bytes: number;
  readonly parameters: number;
  readonly macs: number;
  readonly layers: readonly LayerRow[];
  /** The sizes at which all is counted, for people. */
  readonly inputs: string;
  readonly guessed: boolean;
  /** Bytes that planning and compressing take, about. */
  readonly memory: number;
  readonly notes: readonly string[];
}

/** One layer in one plan. */
export interface PlannedLayer {
  readonly name: string;
  readonly became: string;
  readonly error: number;
  readonly original?: number;
  readonly written?: number;
}

export interface PlanPoint extends CurvePoint {
  readonly layers: readonly PlannedLayer[];
}

export interface Planned {
  readonly milliseconds: number;
  /** From as it is to as fast as it gets. */
  readonly points: readonly PlanPoint[];
  readonly images: number;
  readonly heldOut: number;
  readonly size: string;
  readonly guessed: readonly string[];
}

export interface Made {
  readonly file: string;
  readonly model: Uint8Array;
  readonly bytes: readonly [before: number, after: number];
  readonly macs: readonly [before: number, after: number];
  readonly weights: readonly [before: number, after: number];
  readonly milliseconds: { readonly original: number; readonly written: number; readonly ratio: number };
  readonly loss: { readonly kind: LossKind; readonly mean: number; readonly output: string; readonly images: number };
  /** The largest difference of the file from what it should compute, relative to the largest output. */
  readonly verified: number;
  readonly layers: readonly PlannedLayer[];
}

export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly rgba: Uint8ClampedArray;
}

export interface ClassScore {
  readonly index: number;
  readonly score: number;
}

export interface Compared {
  readonly kind: LossKind;
  readonly milliseconds: { readonly original: number; readonly written: number };
  readonly loss: number;
  readonly relative: number;
  readonly correlation: number | null;
  readonly psnr: number | null;
  readonly input: Pixels;
  /** Undefined where the output is no picture. */
  readonly original?: Pixels;
  readonly written?: Pixels;
  readonly difference?: Pixels;
  readonly classes?: { readonly original: readonly ClassScore[]; readonly written: readonly ClassScore[] };
  /** The first numbers of both outputs, and the input's feeds, for whoever wants to check them elsewhere. */
  readonly sample: { readonly input: Float32Array; readonly dims: readonly number[]; readonly output: Float32Array };
}

export interface Requests {
  open: { readonly ask: { readonly model: NamedFile; readonly beside: readonly NamedFile[] }; readonly answer: Opened };
  plan: { readonly ask: { readonly pictures: readonly NamedFile[] }; readonly answer: Planned };
  /** Without a point: the fastest plan that loses little. */
  compress: { readonly ask: { readonly point?: number }; readonly answer: Made };
  compare: { readonly ask: { readonly picture: NamedFile }; readonly answer: Compared };
  report: { readonly ask: { readonly pictures: readonly Picture[] }; readonly answer: CompressionReport };
}

export type Kind = keyof Requests;

export type Request = {
  readonly [K in Kind]: { readonly id: number; readonly kind: K; readonly ask: Requests[K]["ask"] };
}[Kind];

/** Said once, before anything else. */
export interface Begin {
  readonly kind: "begin";
  readonly base: string;
  readonly threads: number;
  readonly known: KnownTimes;
}

export interface Failure {
  readonly code: ErrorCode;
  readonly problem: string;
  readonly place: string;
  readonly expected?: string;
  readonly got?: string;
  readonly cures: readonly string[];
}

export type Said =
  | { readonly kind: "answer"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failure"; readonly id: number; readonly failure: Failure }
  | { readonly kind: "progress"; readonly label: string; readonly done: number; readonly total: number }
  | { readonly kind: "note"; readonly text: string }
  | { readonly kind: "times"; readonly times: KnownTimes };
