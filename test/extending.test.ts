// The extension test of docs/extending.md: in a copy of the sources, a new operator is two files, a new data set is one
// and its line, a new method is one, its line and its recipe. The compiler asks for what is missing, and the program
// then knows what was added wherever it knows the others.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { float32Tensor, makeNode } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { floats } from "../src/graph/values.js";
import { describeEngine } from "./engine.js";
import { smallGraph } from "./small-graphs.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const copy = mkdtempSync(join(tmpdir(), "filterbasis-extending-"));
const at = (path: string): string => join(copy, path);

beforeAll(() => {
  for (const path of ["src", "recipes", "package.json", "tsconfig.json"])
    cpSync(join(root, path), at(path), { recursive: true });
  for (const path of ["node_modules", "native", "weights"]) symlinkSync(join(root, path), at(path));
  writeFileSync(
    at("tsconfig.copy.json"),
    JSON.stringify({ extends: "./tsconfig.json", include: ["src"], exclude: ["src/**/*.test.ts"] }),
  );
});
afterAll(() => rmSync(copy, { recursive: true, force: true }));

/** Puts lines before a text that stands in a file once. */
function insert(path: string, before: string, lines: string): void {
  const parts = readFileSync(at(path), "utf8").split(before);
  expect(parts, `${path}: ${before}`).toHaveLength(2);
  writeFileSync(at(path), parts.join(`${lines}\n${before}`));
}

/** What the compiler says; "" where it has nothing to say. */
function compile(): string {
  const tsc = join(root, "node_modules", ".bin", "tsc");
  try {
    execFileSync(tsc, ["-p", at("tsconfig.copy.json")], {
      cwd: copy,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
    return "";
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

/** A module of the copy. */
const load = <T>(path: string): Promise<T> => import(/* @vite-ignore */ at(path)) as Promise<T>;

const halved: Graph = smallGraph({
  nodes: [{ op: "Halve", domain: "", name: "halve", inputs: ["x"], outputs: ["y"], attributes: new Map() }],
  initializers: {},
  inputs: [{ name: "x", tensor: { type: "float32", dims: ["N", 3] } }],
  outputs: ["y"],
});

/** What the compiler says while the operator has an entry and no lowering. */
let asked = "";

beforeAll(() => {
  insert(
    "src/ops/activations.ts",
    "} satisfies Family;",
    "  Halve: { ...unary, value: ofOne((a) => a / 2, () => null) },",
  );
  asked = compile();
  insert(
    "src/interpreter/operators/activations.ts",
    "} satisfies Record<string, Lowering>;",
    '  Halve: unary((x) => call("mul.Scalar", x, 0.5)),',
  );

  writeFileSync(at("src/data/sets/greys.ts"), greys);
  insert("src/data/table.ts", "import { imageFolder } from", 'import { greys } from "./sets/greys.js";');
  insert("src/data/table.ts", "  ...[cifar10, div2k,", "  greys,");

  writeFileSync(at("src/methods/two-filters.ts"), twoFilters);
  insert(
    "src/methods/methods.ts",
    "import { type ZhangKnown, zhang } from",
    'import { twoFilters } from "./two-filters.js";',
  );
  insert("src/methods/methods.ts", "  amc: amcMethod,", '  "two-filters": twoFilters,');
  writeFileSync(at("recipes/two-filters.yaml"), recipe);
}, 240_000);

const greys = `// Two grey squares.
import type { Dataset } from "../dataset.js";
import { labelledData } from "../labelled-data.js";

export const greys: Dataset = {
  name: "greys",
  summary: "a dark and a light square",
  async open() {
    const images = Uint8Array.from({ length: 2 * 3 * 4 * 4 }, (_, i) => (i < 48 ? 50 : 200));
    const labels = Uint8Array.of(0, 1);
    const set = { name: "greys", images, labels, classes: ["dark", "light"], count: 2, height: 4, width: 4 };
    return labelledData("greys", async () => ({ train: set, test: set }));
  },
};
`;

const twoFilters = `// Two basis filters for every layer.
import { applyPlan } from "./basis.js";
import type { Method } from "./method.js";
import { selectionFields } from "./options.js";
import { planCompression } from "./plan.js";

export const twoFilters: Method<"two-filters", typeof selectionFields> = {
  name: "two-filters",
  summary: "two basis filters for every layer",
  from: "architecture",
  options: selectionFields,
  apply: (graph, options) =>
    applyPlan(graph, planCompression(graph, { ...options, basis: 2, splits: 1 }), { method: "two-filters" }),
};
`;

const recipe = "name: two-filters\nnetwork: { name: resnet20 }\ncompress: { method: two-filters }\n";

const library = () => load<typeof import("../src/index.js")>("src/index.ts");

describe("a new operator is its entry and its lowering", () => {
  test("the compiler asks for the lowering", () => {
    expect(asked).toMatch(/Halve/);
  });

  test("shapes and constants follow it wherever they follow the others", async () => {
    const { inferShapes, foldConstants } = await library();
    expect(inferShapes(halved).get("y")).toMatchObject({ type: "float32", dims: ["N", 3] });
    const ofConstant = smallGraph({
      nodes: [{ ...halved.nodes[0]!, inputs: ["c"], outputs: ["h"] }, makeNode("Add", ["x", "h"], ["y"])],
      initializers: { c: float32Tensor([1, 3], new Float32Array([2, 4, 6])) },
      outputs: ["y"],
    });
    const { graph } = foldConstants()(ofConstant);
    expect(graph.nodes.map(({ op }) => op)).toEqual(["Add"]);
    expect([...floats(graph.initializers.get("h")!)]).toEqual([1, 2, 3]);
  });

  describeEngine("in the interpreter", () => {
    test("it runs", async () => {
      const { Network, TensorScope, fromArray } = await library();
      using network = new Network(halved);
      using _scope = new TensorScope();
      const results = network.forward(new Map([["x", fromArray(new Float32Array([2, 4, 6]), [1, 3])]]));
      expect([...results.get("y")!.floats()]).toEqual([1, 2, 3]);
    });
  });
});

test("a new data set is one file and its line: whatever opens data knows its name", async () => {
  const { openData, loadImageData } = await library();
  const inputs = await (await openData("greys")).inputs({ batch: 2 });
  expect((await inputs.batch(0, 0)).inputDims).toEqual([2, 3, 4, 4]);
  expect((await loadImageData("greys")).train?.count).toBe(2);
});

test("a new method is one file, its line and its recipe: its layers are counted, recorded and expanded", async () => {
  const { methodPass, buildNet, compressedLayers, expand, loadRecipe } = await library();
  const { graph } = methodPass("two-filters", { only: "features.1.*" })(buildNet("resnet", { depth: 8 }));
  expect(compressedLayers(graph).length).toBeGreaterThan(0);
  expect(compressedLayers(expand(graph).graph)).toEqual([]);
  expect((await loadRecipe(at("recipes/two-filters.yaml"))).compress).toMatchObject({ method: "two-filters" });
});

test("with all three the sources compile", { timeout: 240_000 }, () => {
  expect(compile()).toBe("");
});
