// The @example blocks of doc comments, run as they stand (every function of the library's entry points is shown in
// one), and the programs of examples/.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as browser from "../src/browser.js";
import * as library from "../src/index.js";
import { someImage, writePng } from "./images.js";

// No example is about the times: three rounds of them instead of fifteen.
vi.mock("../src/runtime/compare-times.js", async (original) => {
  const module = await original<typeof import("../src/runtime/compare-times.js")>();
  const timeInTurns: typeof module.timeInTurns = (models, feeds, options) =>
    module.timeInTurns(models, feeds, { ...options, rounds: 3, settle: 20 });
  return { ...module, timeInTurns };
});

// Trainings run in this thread, which starts at once; that they run in one of their own is test/train-runs.test.ts.
vi.mock("../src/train/worker-client.js", async () => {
  const { runTraining } = await import("../src/train/run.js");
  const trainInWorker = (...[folder, recipe, hooks]: Parameters<typeof runTraining>) =>
    runTraining(folder, recipe, hooks);
  return { trainInWorker };
});

interface Example {
  /** The file that it stands in, and the line. */
  readonly place: string;
  readonly code: string;
}

const src = fileURLToPath(new URL("../src/", import.meta.url));
const programs = fileURLToPath(new URL("../examples/", import.meta.url));
const examples = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
  .flatMap((name) => examplesOf(name, readFileSync(join(src, name), "utf8")));

function examplesOf(name: string, text: string): readonly Example[] {
  return [...text.matchAll(/^ *\* @example\n *\* ```ts\n((?: *\*.*\n)*?) *\* ```$/gm)].map(
    ({ 1: body = "", index }) => ({
      place: `${name}:${text.slice(0, index).split("\n").length}`,
      code: body.replace(/^ *\* ?/gm, ""),
    }),
  );
}

/** Those of one import statement of the library. */
const imported = (code: string): readonly string[] =>
  [...code.matchAll(/import \{([^}]*)\} from "filterbasis(?:\/browser)?"/g)].flatMap(({ 1: names = "" }) =>
    names
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "" && !name.startsWith("type ")),
  );

/** Functions that no example shows, and why. */
const notShown: Readonly<Record<string, string>> = {
  FilterBasisError: "users meet it, and tell it by isError",
  getCifar10: "it goes to the network",
  loadCifar10: "it goes to the network",
  Tensor: "what fromArray and call give; users make none by its constructor",
};

describe("every function of the entry points", () => {
  const shown = new Set(examples.flatMap(({ code }) => imported(code)));
  const functions = Object.entries({ ...browser, ...library }).filter(([, value]) => typeof value === "function");
  test.each(functions.map(([name]) => name))("%s is shown in an example", (name) => {
    expect(shown.has(name) !== Object.hasOwn(notShown, name), `shown: ${shown.has(name)}`).toBe(true);
  });

  test("an example names what there is", () => {
    for (const name of shown) expect(Object.keys({ ...browser, ...library })).toContain(name);
  });
});

/** What the examples printed, a line each. */
let printed: string[] = [];
/** The smallest training that there is. */
const recipe = `
name: small
network: { name: resnet, depth: 8, widths: [4, 4, 4], classes: 2, init: kaiming }
data: { name: folder, folder: parts, batch: 2, normalize: none }
optimizer: { name: sgd, lr: 0.01 }
epochs: 1
threads: 1
`;

/** A folder with what the examples read. */
const folder = mkdtempSync(join(tmpdir(), "filterbasis-examples-"));
const before = process.cwd();

beforeAll(async () => {
  process.chdir(folder);
  const { buildNet, saveModel } = library;
  await saveModel(buildNet("resnet", { depth: 8, widths: [8, 16, 24], classes: 2 }), "model.onnx");
  await saveModel(buildNet("edsr", { blocks: 1, width: 8, scale: 2 }), "sr.onnx");
  for (const name of ["photos", "classes/cat", "classes/dog"]) mkdirSync(name, { recursive: true });
  await writePng("photo.png", someImage(40, 32));
  for (const seed of [1, 2, 3, 4, 5, 6]) await writePng(`photos/${seed}.png`, someImage(40, 32, { seed }));
  for (const seed of [1, 2]) await writePng(`classes/cat/${seed}.png`, someImage(32, 32, { seed }));
  await writePng("classes/dog/3.png", someImage(32, 32, { seed: 3 }));
  for (const part of ["train", "test"]) cpSync("classes", `parts/${part}`, { recursive: true });
  writeFileSync("recipe.yaml", recipe);
  vi.spyOn(console, "log").mockImplementation((...words) => void printed.push(words.map(String).join(" ")));
});
afterAll(() => {
  process.chdir(before);
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

/** Libtorch is there, or the reason why not. */
function engineMissing(): string | undefined {
  try {
    library.engineInfo();
    return undefined;
  } catch (error) {
    return String(error);
  }
}

const needsEngine = /\b(Network|callAll|activationMoments|trainInWorker)\b/;
const entries = {
  '"filterbasis/browser"': JSON.stringify(join(src, "browser.ts")),
  '"filterbasis"': JSON.stringify(join(src, "index.ts")),
};

/** Runs code as a module of its own; the library stands for its package name. */
async function run(code: string, name: string): Promise<void> {
  const file = join(folder, `${name.replace(/\W/g, "-")}.ts`);
  let text = code;
  for (const [from, to] of Object.entries(entries)) text = text.replaceAll(`from ${from}`, `from ${to}`);
  writeFileSync(file, text);
  await import(/* @vite-ignore */ file);
}

describe("an example", () => {
  test.for(examples.map(({ place, code }) => [place, code] as const))("%s runs", async ([place, code], { skip }) => {
    const missing = needsEngine.test(code) ? engineMissing() : undefined;
    skip(missing !== undefined, missing);
    await run(code, place);
  });

  test("that is broken fails", async () => {
    await expect(run('import { cost } from "filterbasis";\ncost(undefined);\n', "broken")).rejects.toThrow();
    await expect(run('import { missing } from "filterbasis";\nmissing();\n', "missing")).rejects.toThrow();
  });
});

describe("the program", () => {
  /** With which words after the defaults, and what it prints. */
  const expected: Readonly<Record<string, { readonly words?: readonly string[]; readonly prints: RegExp }>> = {
    "compress-file": { prints: /^weights +\d+ -> \d+\nbytes +\d+ -> \d+\nmilliseconds/ },
    "choose-by-budget": {
      words: ["model.onnx", "small.onnx", "0.8"],
      prints: /0\.75 of the weights: [\s\S]*\nwrote small\.onnx: \d+ weights$/,
    },
    "own-data-set": { prints: /^\d+ -> \d+ weights\n.* on 2 images that nothing was fitted to$/ },
    "own-metric": {
      words: ["model.onnx", "small.onnx", "photos", "0.5"],
      prints: /% of 6 images keep their class\nwrote small\.onnx$/,
    },
    "custom-method": { prints: /^prune .*: numbers below \S+ are zero\n[\s\S]* on 6 images$/m },
    "train-recipe": {
      words: ["recipe.yaml", "runs/program", "optimizer.lr=0.02"],
      prints: /^finished after \d+ steps:/m,
    },
    quantize: { prints: /^\d+ layers in eight bits for [\s\S]*\d+ -> \d+ bytes\n.* ms\n/ },
  };
  const files = readdirSync(programs).filter((name) => name.endsWith(".mjs"));
  test.each(files)("%s opens with what it does and how it is run", (file) => {
    const text = readFileSync(join(programs, file), "utf8");
    expect(text).toMatch(/^\/\/ [A-Z].*\n(\/\/.*\n)*\/\/ {5}npm install filterbasis/);
    expect(file === "browser-worker.mjs" || text.includes(`//     node ${file}`)).toBe(true);
    expect(text.split("\n").length).toBeLessThan(60);
  });

  test.for(Object.entries(expected))("%s runs", async ([name, { words = [], prints }], { skip }) => {
    const code = readFileSync(join(programs, `${name}.mjs`), "utf8");
    const missing = needsEngine.test(code) ? engineMissing() : undefined;
    skip(missing !== undefined, missing);
    const argv = process.argv;
    printed = [];
    process.argv = ["node", `${name}.mjs`, ...words];
    await run(code, `program-${name}`).finally(() => void (process.argv = argv));
    expect(printed.join("\n")).toMatch(prints);
  });

  test("browser-worker answers in a worker with a smaller network, and with the message of what is wrong", async () => {
    const answers: { bytes?: Uint8Array; before: number; after: number; error?: string }[] = [];
    const worker = {
      postMessage: (answer: (typeof answers)[number]) => answers.push(answer),
      onmessage: (_: object) => undefined,
    };
    vi.stubGlobal("self", worker);
    const code = readFileSync(join(programs, "browser-worker.mjs"), "utf8");
    expect([...code.matchAll(/^import .* from (.*);$/gm)].map(([, from]) => from)).toEqual(['"filterbasis/browser"']);
    await run(code, "browser-worker");
    const bytes = Uint8Array.from(readFileSync("model.onnx")).buffer;
    worker.onmessage({ data: { bytes, keepParams: 0.5 } });
    worker.onmessage({ data: { bytes: new ArrayBuffer(3), keepParams: 0.5 } });
    vi.unstubAllGlobals();
    const [small, wrong] = answers;
    expect(small!.after).toBeLessThanOrEqual(small!.before / 2);
    expect(browser.cost(browser.readModel(small!.bytes!)).weights).toBe(small!.after);
    expect(wrong!.error).toContain("field number out of range");
  });

  test("is of a file that is there, and every file is a program that runs", () => {
    expect(files.map((file) => file.replace(".mjs", "")).sort()).toEqual(
      [...Object.keys(expected), "browser-worker"].sort(),
    );
  });
});
