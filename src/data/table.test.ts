// What every data set promises, over the table of them; and what names and paths stand for.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tar } from "../../test/archives.js";
import { npy, npz } from "../../test/arrays.js";
import { someImage, writePng } from "../../test/images.js";
import { imagePairs, labelledImages } from "./dataset.js";
import type { Archive } from "./image-archives.js";
import { dataHelp, datasets, namedDatasets, openData } from "./table.js";

let root: string;
const cache = process.env.FILTERBASIS_CACHE;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "filterbasis-table-"));
  process.env.FILTERBASIS_CACHE = join(root, "cache");
  for (const [name, make] of Object.entries(examples)) await make(examplePath(name));
});
afterAll(async () => {
  if (cache === undefined) delete process.env.FILTERBASIS_CACHE;
  else process.env.FILTERBASIS_CACHE = cache;
  await rm(root, { recursive: true, force: true });
});

const writeImages = async (folder: string, names: readonly string[], width = 12, height = 8): Promise<void> => {
  for (const [seed, name] of names.entries()) await writePng(join(folder, name), someImage(width, height, { seed }));
};
const benchmark = async (folder: string): Promise<void> => {
  await writeImages(join(folder, "HR"), ["a.png", "b.png", "c.png"]);
  await writeImages(join(folder, "LR_bicubic", "X2"), ["ax2.png", "bx2.png", "cx2.png"], 6, 4);
  await writeFile(join(folder, "filterbasis-manifest.json"), "{}");
};
const cifarRecords = Uint8Array.from({ length: 3 * 3073 }, (_, i) => (i % 3073 === 0 ? Math.floor(i / 3073) : i % 256));
const images = Uint8Array.from({ length: 3 * 8 * 12 * 3 }, (_, i) => (i * 37) % 256);

/** An example of every data set but cifar10, whose files are checked against official sums: three images each. */
const examples: Readonly<Record<string, (path: string) => Promise<void>>> = {
  div2k: async (folder) => {
    await writeImages(join(folder, "DIV2K_train_HR"), ["0001.png", "0002.png", "0003.png"]);
    await writeFile(join(folder, "filterbasis-manifest.json"), "{}");
  },
  ...{ set5: benchmark, set14: benchmark, b100: benchmark, urban100: benchmark, pairs: benchmark },
  arrays: (path) =>
    writeFile(path, npz({ x: npy("|u1", [3, 8, 12, 3], images), y: npy("<i8", [3], BigInt64Array.of(0n, 2n, 1n)) })),
  "cifar10 files": (path) => writeFile(path, gzipSync(tar([["cifar-10-batches-bin/test_batch.bin", cifarRecords]]))),
  images: (folder) => writeImages(folder, ["a.png", "b.png", "c.png"]),
  classes: async (folder) => {
    await writeImages(join(folder, "ant"), ["a.png", "b.png"]);
    await writeImages(join(folder, "bee"), ["c.png"]);
  },
};
const endings: Readonly<Record<string, string>> = { arrays: ".npz", "cifar10 files": ".tar.gz" };
const isNamed = (name: string) => namedDatasets.some((set) => set.name === name);
const examplePath = (name: string) =>
  isNamed(name) ? join(root, "cache", name) : join(root, `example of ${name}${endings[name] ?? ""}`);
/** What a user writes for it. */
const sourceOf = (name: string) => (isNamed(name) ? name : examplePath(name));
const opened = (name: string) => openData(sourceOf(name));

test("every data set has a name of its own, a summary, and an example here", () => {
  expect(new Set(datasets.map(({ name }) => name)).size).toBe(datasets.length);
  expect(datasets.every(({ summary }) => summary.length > 10)).toBe(true);
  expect([...Object.keys(examples), "cifar10"].sort()).toEqual(datasets.map(({ name }) => name).sort());
});

describe.each(Object.keys(examples))("%s", (name) => {
  const [width, height] = name === "cifar10 files" ? [32, 32] : [12, 8];

  test("is recognised by its own kind and by none before it", async () => {
    const kinds = datasets.filter(({ holds }) => holds !== undefined);
    for (const kind of isNamed(name) ? [] : kinds) {
      expect([kind.name, await kind.holds!(examplePath(name))]).toEqual([kind.name, kind.name === name]);
      if (kind.name === name) break;
    }
  });

  test("gives its images as batches of inputs, with labels where it has any", async () => {
    const data = await opened(name);
    const inputs = await data.inputs({ batch: 2 });
    expect([inputs.count, inputs.stepsPerEpoch, inputs.batchSize, inputs.skipped]).toEqual([3, 2, 2, []]);
    expect(inputs.dims).toEqual([3, height, width]);
    const [first, last] = [await inputs.batch(0, 0), await inputs.batch(0, 1)];
    expect([first.inputDims, last.inputDims]).toEqual([
      [2, 3, height, width],
      [1, 3, height, width],
    ]);
    expect(first.input.every((value) => value >= 0 && value <= 1)).toBe(true);
    expect(first.target?.length).toBe(data.labelled === undefined ? undefined : 2);
  });

  test("brings them to the size, the channels and the range that are asked for", async () => {
    const data = await opened(name);
    const size = { width: 5, height: 7 };
    const inputs = await data.inputs({ size, fit: "cover", channels: "luma", range: 255, limit: 2 });
    const { input, inputDims } = await inputs.batch(0, 0);
    expect([inputs.count, inputDims]).toEqual([2, [2, 1, 7, 5]]);
    expect(Math.max(...input)).toBeGreaterThan(16);
  });

  test("draws the same sample for the same seed, and every image once an epoch", async () => {
    const data = await opened(name);
    const take = async (seed: number, epoch = 0) =>
      (await (await data.inputs({ batch: 3, seed })).batch(epoch, 0)).input;
    expect(await take(5)).toEqual(await take(5));
    const sums = (values: Float32Array) => {
      const each = values.length / 3;
      return [0, 1, 2].map((n) => values.slice(n * each, (n + 1) * each).reduce((sum, value) => sum + value, 0)).sort();
    };
    for (const [seed, epoch] of [
      [6, 0],
      [5, 1],
      [6, 3],
    ] as const)
      expect(sums(await take(seed, epoch))).toEqual(sums(await take(5)));
  });

  test("with a scale gives the low-resolution images, or says that it has none", async () => {
    const data = await opened(name);
    const inputs = data.inputs({ scale: 2 });
    if (data.pairs === undefined || data.labelled !== undefined)
      await expect(inputs).rejects.toMatchObject({ code: "usage", message: expect.stringContaining("--scale") });
    else expect((await inputs).dims).toEqual([3, 4, 6]);
  });

  test("has labelled images or says that it has none", async () => {
    const data = await opened(name);
    if (data.labelled === undefined)
      await expect(labelledImages(data)).rejects.toMatchObject({
        code: "data-mismatch",
        message: expect.stringContaining("no labels"),
      });
    else {
      const { test: set } = await labelledImages(data);
      expect([set?.count, set?.height, set?.width, set?.labels.length]).toEqual([3, height, width, 3]);
      expect(Math.max(...set!.labels)).toBeLessThan(set!.classes.length);
    }
  });

  test("has pairs for super-resolution or says that it has none", async () => {
    const data = await opened(name);
    if (data.pairs === undefined) await expect(imagePairs(data, 2)).rejects.toMatchObject({ code: "data-mismatch" });
    else expect((await imagePairs(data, 2)).pairs).toHaveLength(3);
  });
});

test("a data set is one file, which nothing but the table reads", async () => {
  const source = fileURLToPath(new URL("..", import.meta.url));
  const files = (await readdir(source, { recursive: true })).filter(
    (name) => name.endsWith(".ts") && !name.endsWith(".test.ts"),
  );
  const readers = [];
  for (const name of files)
    if (/from "[^"]*\/sets\//.test(await readFile(join(source, name), "utf8"))) readers.push(name);
  expect(readers).toEqual([join("data", "table.ts")]);
});

describe("those known by name", () => {
  test("can be fetched, from addresses with checksums, and checked", () => {
    for (const set of namedDatasets) {
      expect([typeof set.get, typeof set.check]).toEqual(["function", "function"]);
      const { archives = [] } = set as { archives?: readonly Archive[] };
      expect(archives.every(({ url, checksum }) => url.startsWith("https://") && checksum !== undefined)).toBe(true);
    }
  });

  test("refuse options that mean nothing to them", async () => {
    const [cifar10, div2k] = namedDatasets as [(typeof datasets)[0], (typeof datasets)[0]];
    await expect(cifar10.get!({ mirror: "http://x" })).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining("--mirror"),
    });
    await expect(div2k.check!({ repair: true })).rejects.toMatchObject({ code: "usage" });
  });

  test("tell how they are had where they have not been fetched", async () => {
    await rm(examplePath("urban100"), { recursive: true });
    await expect(opened("urban100")).rejects.toMatchObject({
      code: "not-found",
      cures: [expect.stringContaining("data get urban100"), expect.stringContaining("./urban100")],
    });
    await benchmark(examplePath("urban100"));
  });
});

describe("openData", () => {
  test("takes one image, and says what is known where nothing is", async () => {
    const inputs = await (await openData(join(examplePath("images"), "b.png"))).inputs();
    expect(inputs.count).toBe(1);
    await expect(openData(join(root, "nothing"))).rejects.toMatchObject({
      code: "not-found",
      expected: expect.stringContaining("cifar10"),
    });
    await mkdir(join(root, "empty", "inside"), { recursive: true });
    await writeFile(join(root, "empty", "notes.txt"), "x");
    await expect(openData(join(root, "empty"))).rejects.toMatchObject({
      code: "not-found",
      message: expect.stringContaining("recognised as data"),
    });
    await expect(openData(join(root, "empty", "notes.txt"))).rejects.toThrow(/not a data set/);
  });

  test("says of an empty folder that it is empty, and no more than what may be named", async () => {
    const empty = join(root, "nothing-in-it");
    await mkdir(empty);
    const error = await openData(empty).catch((thrown: unknown) => thrown as Error);
    expect(error).toMatchObject({ code: "not-found", problem: "the folder is empty", expected: dataHelp });
  });

  test("classes beside images give labels, while inputs are the images", async () => {
    const folder = join(root, "mixed");
    await writeImages(folder, ["x.png"]);
    await writeImages(join(folder, "ant"), ["a.png", "b.png"]);
    const data = await openData(folder);
    expect((await data.inputs()).count).toBe(1);
    expect((await labelledImages(data)).test?.count).toBe(2);
  });
});

describe("arrays", () => {
  const write = async (name: string, bytes: Uint8Array): Promise<string> => {
    await writeFile(join(root, name), bytes);
    return join(root, name);
  };
  const floats = npy("<f4", [3, 2], Float32Array.of(1, 2, 3, 4, 5, 6));

  test("floats go in as they are, and what cannot be applied is told", async () => {
    const notes: string[] = [];
    const data = await openData(await write("floats.npy", floats));
    const inputs = await data.inputs({ normalize: "imagenet", batch: 4, limit: 2, note: (text) => notes.push(text) });
    expect(await inputs.batch(0, 0)).toMatchObject({
      input: Float32Array.of(1, 2, 3, 4),
      inputDims: [2, 2],
      target: null,
    });
    expect(notes).toEqual([expect.stringContaining("normalize not applied")]);
    await expect(data.inputs({ size: { width: 2, height: 9 } })).rejects.toMatchObject({ code: "data-mismatch" });
  });

  test("train and test parts are told apart by their names", async () => {
    const pixels = (count: number) => npy("|u1", [count, 2, 2], new Uint8Array(4 * count));
    const path = await write(
      "parts.npz",
      npz({
        x_train: pixels(3),
        y_train: npy("|u1", [3, 1], Uint8Array.of(0, 1, 1)),
        x_test: pixels(2),
        y_test: npy("|u1", [2], Uint8Array.of(1, 0)),
      }),
    );
    const data = await openData(path);
    const { train, test: tested } = await labelledImages(data);
    expect([[...train!.labels], [...tested!.labels]]).toEqual([
      [0, 1, 1],
      [1, 0],
    ]);
    expect((await data.inputs()).count).toBe(3);
    expect((await data.inputs({ part: "test" })).count).toBe(2);
  });

  test("which array is the input is asked where it is not clear, and taken by name", async () => {
    const path = await write("two.npz", npz({ a: floats, b: npy("<f4", [2, 2], Float32Array.of(7, 8, 9, 10)) }));
    const data = await openData(path);
    await expect(data.inputs()).rejects.toMatchObject({
      code: "usage",
      got: expect.stringContaining("a float32 [3, 2]; b"),
    });
    expect((await data.inputs({ array: "b" })).count).toBe(2);
    await expect(data.inputs({ array: "c" })).rejects.toMatchObject({ code: "not-found" });
  });

  test("labels that do not fit, and values that are not finite, are refused by name", async () => {
    const labelled = async (y: Buffer) => openData(await write("bad.npz", npz({ x: floats, y })));
    for (const y of [
      npy("<i8", [2], BigInt64Array.of(0n, 1n)),
      npy("<f4", [3], new Float32Array(3)),
      npy("<i8", [3], BigInt64Array.of(0n, 1n, 1n << 40n)),
      npy("<i8", [3], BigInt64Array.of(0n, 1n, -1n)),
    ])
      await expect((await labelled(y)).inputs()).rejects.toMatchObject({
        code: "data-mismatch",
        place: { tensor: "y" },
      });
    const nan = await openData(await write("nan.npy", npy("<f4", [1, 2], Float32Array.of(1, Number.NaN))));
    await expect(nan.inputs()).rejects.toMatchObject({ code: "non-finite", got: "NaN at 1" });
  });

  test("a damaged file is named", async () => {
    for (const name of ["bad.npy", "bad.npz", "bad.safetensors"])
      await expect(openData(await write(name, Buffer.from("nonsense!")))).rejects.toMatchObject({
        code: "malformed",
        place: { file: join(root, name) },
      });
  });
});
