// What a calibration found, kept in the cache folder: moments of each layer and errors of its candidates, by a hash of
// the network, the images and the settings. What is damaged, of another version or of another layer does not count and
// is made anew; a cache that cannot be written is no error.
import { createHash, type Hash } from "node:crypto";
import { access, mkdir, readFile, utimes } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "../formats/crc32.js";
import { readSafetensors, writeSafetensors } from "../formats/safetensors.js";
import type { Attribute, Graph, TensorData } from "../graph/types.js";
import { numbers, tensorOf } from "../graph/values.js";
import { type Matrix, matrix } from "../linalg/matrix.js";
import { cacheFolder } from "../runtime/cache-folder.js";
import { writeAside } from "../runtime/write.js";
import type { CandidateError } from "./choices.js";
import { type CalibrationImages, type Engine, type Sampling, samplingOf } from "./engine.js";
import type { CalibratedLayer } from "./layers.js";
import type { Moments } from "./sums.js";

/**
 * Keeps what a calibration finds. Nothing here fails: what cannot be read is undefined, what cannot be kept is dropped.
 */
export interface CalibrationCache {
  moments(layer: CalibratedLayer): Promise<Moments | undefined>;
  /** Whether there is something, which may turn out to be of no use. */
  hasMoments(layer: CalibratedLayer): Promise<boolean>;
  keepMoments(layer: CalibratedLayer, moments: Moments): Promise<void>;
  /** @param settings all that the errors depend on beside the moments */
  errors(layer: CalibratedLayer, settings: string): Promise<readonly CandidateError[] | undefined>;
  keepErrors(layer: CalibratedLayer, settings: string, errors: readonly CandidateError[]): Promise<void>;
  /** One number for each layer that has one, by the name of its weight. */
  sensitivities(settings: string): Promise<Sensitivities | undefined>;
  keepSensitivities(settings: string, found: Sensitivities): Promise<void>;
}

export type Sensitivities = Readonly<Record<string, number>>;

/** Raised when what is kept, or how it is computed, changes. */
const version = 5;

/** Where calibrations are kept. */
export const calibrationsFolder = (): string => join(cacheFolder(), "calibrations");

/** The cache of a calibration; undefined where the images have no key. */
export function openCalibrationCache(
  graph: Graph,
  images: CalibrationImages,
  engine: Engine,
  { folder, ...sampling }: Partial<Sampling> & { readonly folder?: string } = {},
): CalibrationCache | undefined {
  if (images.key === undefined) return undefined;
  const { places, seed } = samplingOf(images, sampling);
  const hash = createHash("sha256");
  hashGraph(hash, graph);
  const conditions = JSON.stringify([version, images.key, images.count, engine.name, places, seed]);
  const key = hash.update(conditions).digest("hex").slice(0, 32);
  const where = join(folder ?? calibrationsFolder(), key);
  const now = new Date();
  void utimes(where, now, now).catch(() => undefined); // used now: what was used longest ago is removed first
  const named = (name: string, ending: string) => join(where, `${shortHash(name)}.${ending}`);
  const file = (layer: CalibratedLayer, settings: string, ending: string) =>
    named(`${layer.weightName}\n${settings}`, ending);
  const kept = async <T>(path: string): Promise<T | undefined> => {
    const text = await readFile(path, "utf8").catch(() => undefined);
    return text === undefined ? undefined : unsealed<T>(text);
  };
  const keep = (path: string, what: unknown) =>
    write(where, path, new TextEncoder().encode(sealed(JSON.stringify(what))));
  return {
    async moments(layer) {
      const bytes = await readFile(file(layer, "", "safetensors")).catch(() => undefined);
      return bytes && readMoments(bytes, layer);
    },
    hasMoments: (layer) =>
      access(file(layer, "", "safetensors")).then(
        () => true,
        () => false,
      ),
    keepMoments: (layer, moments) => write(where, file(layer, "", "safetensors"), momentsFile(moments)),
    errors: (layer, settings) => kept<readonly CandidateError[]>(file(layer, settings, "json")),
    keepErrors: (layer, settings, errors) => keep(file(layer, settings, "json"), errors),
    sensitivities: (settings) => kept<Sensitivities>(named(`sensitivities\n${settings}`, "json")),
    keepSensitivities: (settings, found) => keep(named(`sensitivities\n${settings}`, "json"), found),
  };
}

async function write(folder: string, path: string, content: Uint8Array | Uint8Array[]): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await writeAside(path, content);
  } catch {
    // the next run looks again
  }
}

const shortHash = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 24);

/** All that a graph computes: nodes with attributes, constants, ports. */
function hashGraph(hash: Hash, { nodes, initializers, inputs, outputs, opsets }: Graph): void {
  const plain = (_: string, value: unknown): unknown => (typeof value === "bigint" ? `${value}` : value);
  const attribute = ([name, value]: [string, Attribute]): unknown => {
    if (value.kind === "tensor") return [name, "tensor", tensorHash(value.value)];
    if (value.kind === "string") return [name, Buffer.from(value.value).toString("base64")];
    if (value.kind === "graph") return [name, "graph", bodyHash({ opsets, ...value.value } as Graph)];
    return [name, value.kind, "value" in value ? value.value : ""];
  };
  for (const { op, domain, inputs: reads, outputs: makes, attributes } of nodes)
    hash.update(JSON.stringify([op, domain, reads, makes, [...attributes].map(attribute)], plain));
  for (const [name, tensor] of initializers) hash.update(JSON.stringify([name, tensorHash(tensor)]));
  hash.update(JSON.stringify([inputs, outputs].map((ports) => ports.map(({ name, tensor }) => [name, tensor]))));
}

function bodyHash(graph: Graph): string {
  const hash = createHash("sha256");
  hashGraph(hash, graph);
  return hash.digest("hex");
}

const tensorHash = ({ type, dims, data }: TensorData): unknown => [
  type,
  dims,
  createHash("sha256").update(data).digest("hex"),
];

/** The lower triangle, for the matrix is symmetric to the last bit. */
function momentsFile({ places, mean, covariance }: Moments): Uint8Array[] {
  const { rows, data } = covariance;
  const packed = new Float64Array((rows * (rows + 1)) / 2);
  for (let i = 0, at = 0; i < rows; i++) for (let j = 0; j <= i; j++, at++) packed[at] = data[i * rows + j]!;
  const tensors = new Map([
    ["mean", tensorOf("float64", [rows], mean)],
    ["covariance", tensorOf("float64", [packed.length], packed)],
  ]);
  const sums = [...tensors.values()].map((tensor) => crc32(tensor.data)).join(" ");
  return writeSafetensors(
    tensors,
    new Map([
      ["places", `${places}`],
      ["crc32", sums],
    ]),
  );
}

function readMoments(bytes: Uint8Array, layer: CalibratedLayer): Moments | undefined {
  try {
    const { tensors, metadata } = readSafetensors(bytes);
    const [mean, packed] = [tensors.get("mean"), tensors.get("covariance")];
    const d = layer.weight.cols;
    if (mean === undefined || packed === undefined || mean.dims[0] !== d || packed.dims[0] !== (d * (d + 1)) / 2)
      return undefined;
    if (metadata.get("crc32") !== `${crc32(mean.data)} ${crc32(packed.data)}`) return undefined;
    const places = Number(metadata.get("places"));
    return places > 0 ? { places, mean: numbers(mean), covariance: unpacked(numbers(packed), d) } : undefined;
  } catch {
    return undefined;
  }
}

function unpacked(packed: Float64Array, d: number): Matrix {
  const data = new Float64Array(d * d);
  for (let i = 0, at = 0; i < d; i++) {
    for (let j = 0; j <= i; j++, at++) {
      data[i * d + j] = packed[at]!;
      data[j * d + i] = packed[at]!;
    }
  }
  return matrix(d, d, data);
}

const sealed = (text: string): string => `${crc32(new TextEncoder().encode(text))} ${text}`;

function unsealed<T>(text: string): T | undefined {
  const content = text.slice(text.indexOf(" ") + 1);
  if (sealed(content) !== text) return undefined;
  try {
    return JSON.parse(content) as T;
  } catch {
    return undefined;
  }
}
