// The @example blocks of doc comments, run as they stand: every function of the library's entry points is shown in one.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as browser from "../src/browser.js";
import * as library from "../src/index.js";
import { someImage, writePng } from "./images.js";

interface Example {
  /** The file that it stands in, and the line. */
  readonly place: string;
  readonly code: string;
}

const src = fileURLToPath(new URL("../src/", import.meta.url));
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
      .filter(Boolean),
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

/** A folder with what the examples read. */
const folder = mkdtempSync(join(tmpdir(), "filterbasis-examples-"));
const before = process.cwd();

beforeAll(async () => {
  process.chdir(folder);
  const { buildNet, saveModel } = library;
  await saveModel(buildNet("resnet", { depth: 8, classes: 2 }), "model.onnx");
  await saveModel(buildNet("edsr", { blocks: 1, width: 8, scale: 2 }), "sr.onnx");
  for (const name of ["photos", "classes", "classes/cat", "classes/dog"]) mkdirSync(name);
  await writePng("photo.png", someImage(40, 32));
  for (const seed of [1, 2, 3]) await writePng(`photos/${seed}.png`, someImage(40, 32, { seed }));
  for (const seed of [1, 2]) await writePng(`classes/cat/${seed}.png`, someImage(32, 32, { seed }));
  await writePng("classes/dog/3.png", someImage(32, 32, { seed: 3 }));
  vi.spyOn(console, "log").mockImplementation(() => undefined);
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

const needsEngine = /\b(Network|callAll|activationMoments)\b/;
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
