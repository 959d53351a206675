// Undoing a compression: every site becomes the one convolution that it stands for again, with the filters that basis and
// coefficients make together (the original's, less what was truncated, plus what was learned).
import { constants } from "../basis/constant.js";
import { reconstruct } from "../basis/initialise.js";
import { FilterBasisError } from "../errors/error.js";
import { int, ints, makeNode } from "../graph/attributes.js";
import { consumers, freshNames, producers, withInitializers } from "../graph/edit.js";
import type { Graph, Node, Outcome, Pass, PassResult, TensorData } from "../graph/types.js";
import { dataTypes } from "../graph/types.js";
import { numbers, tensorOf } from "../graph/values.js";
import { describeSite, replaceSites, type SiteEdit, siteLabel } from "./form.js";
import { type LocatedSite, locateSite } from "./locate.js";
import { readRecord, type SiteRecord, withRecord } from "./record.js";

/** The pass. A site with something between basis and coefficients is refused and stays in the record. */
export const expand: Pass = (graph): PassResult => {
  const record = readRecord(graph);
  if (!record)
    throw new FilterBasisError("not-found", "the model has no record of a compression: there is nothing to undo", {
      field: "metadata.filterbasis",
    });
  const fresh = freshNames(graph);
  const readers = consumers(graph);
  const made = producers(graph);
  const initializers = new Map<string, TensorData>();
  const casts: Node[] = [];
  const filters = new Map<string, string>();
  const edits: SiteEdit[] = [];
  const outcomes: Outcome[] = [];
  const left: SiteRecord[] = [];
  /** The value that holds a site's filters; sites that read the same basis and coefficients share it. */
  const filterOf = (site: SiteRecord, coefficientsValue: string): string => {
    const key = JSON.stringify([site.basis, site.coefficients, site.slice]);
    const known = filters.get(key);
    if (known !== undefined) return known;
    const name = fresh(site.weight);
    const { type } = graph.initializers.get(site.coefficients)!;
    initializers.set(name, tensorOf(type, site.shape, denseFilters(graph, site)));
    const cast = made.get(coefficientsValue);
    let value = name;
    if (cast?.op === "Cast") {
      value = fresh(`${name}.cast`);
      casts.push(makeNode("Cast", [name], [value], { to: cast.attributes.get("to") ?? int(dataTypes.indexOf("float32") + 1) }));
    }
    filters.set(key, value);
    return value;
  };
  for (const site of record.sites) {
    const outcome = (done: boolean, because: string) => outcomes.push({ pass: "expand", site: siteLabel(site), done, because });
    if (site.between) {
      outcome(false, "something that is not linear stands between its basis and its coefficients");
      left.push(site);
      continue;
    }
    const located = locateSite(graph, site);
    const { name, input, output, coefficients, attributes, kernel } = describeSite(site, located, readers);
    let { bias } = located;
    if (located.basisBias) {
      const sum = biasValues(graph, site, located);
      if (!sum) {
        outcome(false, "its bias is computed while the model runs");
        left.push(site);
        continue;
      }
      bias = fresh(`${siteLabel(site)}.bias`);
      initializers.set(bias, sum);
    }
    const inputs = [input, filterOf(site, coefficients), ...(bias ? [bias] : [])];
    const own = { ...Object.fromEntries(attributes), group: int(1), kernel_shape: ints(kernel) };
    edits.push({ located, nodes: [makeNode("Conv", inputs, [output], own, { name: site.name && name })] });
    outcome(true, `${site.splits} x ${site.basisSize} -> dense ${site.shape.join("x")}`);
  }
  const expanded = withInitializers(replaceSites(graph, edits), initializers);
  return { graph: withRecord({ ...expanded, nodes: [...casts, ...expanded.nodes] }, { ...record, sites: left }), outcomes };
};

/** W [n, c, h, w] = B A of a site, from the present values of both. */
export function denseFilters(graph: Graph, site: SiteRecord): Float64Array {
  const basis = initializer(graph, site.basis);
  const coefficients = initializer(graph, site.coefficients);
  return reconstruct(slicedBasis(basis, site), numbers(coefficients), site.basisSize);
}

/** The basis as a site reads it, [m, p, h, w]. */
export function slicedBasis(basis: TensorData, { slice }: SiteRecord): Float64Array {
  const values = numbers(basis);
  if (!slice) return values;
  const [m, width, ...kernel] = basis.dims as [number, number, ...number[]];
  const taps = kernel.reduce((product, size) => product * size, 1);
  const [from, to] = slice;
  const out = new Float64Array(m * (to - from) * taps);
  for (let j = 0; j < m; j++)
    out.set(values.subarray((j * width + from) * taps, (j * width + to) * taps), j * (to - from) * taps);
  return out;
}

/** b + sum_g A[:, g] b_basis, as a constant; undefined where b is none. */
function biasValues(graph: Graph, site: SiteRecord, { bias, basisBias }: LocatedSite): TensorData | undefined {
  const own = bias === "" ? undefined : constants(graph)(bias)?.tensor;
  if (bias !== "" && !own) return undefined;
  const a = initializer(graph, site.coefficients);
  const coefficients = numbers(a);
  const shift = numbers(initializer(graph, basisBias));
  const wide = site.splits * site.basisSize;
  const values = own ? Float64Array.from(numbers(own)) : new Float64Array(site.shape[0]!);
  for (let o = 0; o < values.length; o++) {
    for (let k = 0; k < wide; k++) values[o] = values[o]! + coefficients[o * wide + k]! * shift[k % site.basisSize]!;
  }
  return tensorOf(own?.type ?? a.type, [values.length], values);
}

function initializer(graph: Graph, name: string): TensorData {
  const tensor = graph.initializers.get(name);
  if (tensor) return tensor;
  throw new FilterBasisError("malformed", "the model does not fit its record", { tensor: name, field: "metadata.filterbasis" });
}
