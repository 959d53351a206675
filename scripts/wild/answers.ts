// What the commands answer with --json, read into one form whatever a field is called in this version.

export interface LayerAnswer {
  readonly name: string;
  readonly splits: number;
  readonly basis: number;
}

export interface ErrorAnswer {
  readonly code: string;
  readonly message: string;
  /** The least fraction that a budget can have, where the error tells it. */
  readonly reachable?: number;
  /** What the best candidates of all layers together keep, added up from the error's own table. */
  readonly best?: number;
  /** Where the error compares them: bytes of both files. */
  readonly bytes?: { readonly original: number; readonly written: number };
  readonly cures: readonly string[];
}

/** What a command says a file has. */
export interface Totals {
  readonly weights?: number;
  readonly macs?: number;
  readonly bytes?: number;
}

export interface Answer {
  readonly error?: ErrorAnswer;
  readonly layers: readonly LayerAnswer[];
  readonly before: Totals;
  readonly after: Totals;
  /** The input sizes at which the command counted. */
  readonly sizes: ReadonlyMap<string, readonly number[]>;
}

type Plain = Readonly<Record<string, unknown>>;
const isPlain = (value: unknown): value is Plain =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const list = (value: unknown): readonly Plain[] => (Array.isArray(value) ? value.filter(isPlain) : []);

/** Reads one command's standard output; what is no JSON object is the error "no-json". */
export function readAnswer(stdout: string): Answer {
  const json = parse(stdout);
  if (json === undefined) {
    const message = `standard output is not one JSON object: ${JSON.stringify(stdout.slice(0, 120))}`;
    return { error: { code: "no-json", message, cures: [] }, layers: [], before: {}, after: {}, sizes: new Map() };
  }
  return {
    ...(isPlain(json.error) ? { error: readError(json.error) } : {}),
    layers: list(json.layers).flatMap(readLayer),
    before: isPlain(json.before) ? readTotals(json.before) : {},
    after: readTotals(json),
    sizes: readSizes(json),
  };
}

function parse(text: string): Plain | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isPlain(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function readError(error: Plain): ErrorAnswer {
  const reachable = [error.reachable, isPlain(error.reachable) ? error.reachable.kept : undefined].find(
    (value) => typeof value === "number",
  );
  return {
    code: String(error.code),
    message: String(error.message),
    ...(typeof reachable === "number" ? { reachable } : {}),
    ...bestOf(error),
    ...bytesOf(error),
    cures: Array.isArray(error.cures) ? error.cures.map(String) : [],
  };
}

function bytesOf({ bytes }: Plain): Pick<ErrorAnswer, "bytes"> {
  if (!isPlain(bytes) || typeof bytes.original !== "number" || typeof bytes.written !== "number") return {};
  return { bytes: { original: bytes.original, written: bytes.written } };
}

/**
 * { fixed, original, layers: [{ best }] }: the share of the original that is left when every layer has its best
 * candidate.
 */
function bestOf({ fixed, original, layers }: Plain): { readonly best?: number } {
  const costs = list(layers).map(({ best }) => best);
  const isNumber = (value: unknown): value is number => typeof value === "number";
  if (!isNumber(fixed) || !isNumber(original) || costs.length === 0 || !costs.every(isNumber)) return {};
  return { best: costs.reduce((sum, cost) => sum + cost, fixed) / original };
}

function readTotals(totals: Plain): Totals {
  const named = ["weights", "macs", "bytes"] as const;
  return Object.fromEntries(named.flatMap((name) => (typeof totals[name] === "number" ? [[name, totals[name]]] : [])));
}

function readLayer(layer: Plain): readonly LayerAnswer[] {
  const name = layer.name ?? layer.layer;
  const [splits, basis] = [layer.splits, layer.basis ?? layer.basisSize];
  if (typeof name !== "string" || typeof splits !== "number" || typeof basis !== "number") return [];
  return [{ name, splits, basis }];
}

const isShape = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.every((size) => Number.isInteger(size) && size >= 0);

/** Sizes as a record of shapes, or a list of inputs that each have one. */
function readSizes(json: Plain): ReadonlyMap<string, readonly number[]> {
  const found = new Map<string, readonly number[]>();
  for (const value of [json.countedAt, json.sizes, json.shapes, json.inputs]) {
    const entries = isPlain(value)
      ? Object.entries(value)
      : list(value).map((input) => [input.name ?? input.input, input.sizes ?? input.dims ?? input.shape] as const);
    for (const [name, shape] of entries) {
      const dims = isPlain(shape) ? (shape.dims ?? shape.shape) : shape;
      if (typeof name === "string" && isShape(dims) && !found.has(name)) found.set(name, dims);
    }
  }
  return found;
}
