// A data set as folders of pictures: CLASS/NAME.png, or train/CLASS/NAME.png beside test/CLASS/NAME.png.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import type { ImageData } from "./cifar10.js";
import { decodePicture, pictureFormat } from "./codec.js";
import type { ImageSet } from "./image-set.js";
import { toRgb } from "./picture.js";

/** What may stand for the two parts. */
const trainNames = ["train", "training"];
const testNames = ["test", "val", "valid", "validation"];

/**
 * Loads a folder of labelled pictures, all of one size; grey ones become RGB. The classes are the folders' names in the order of their
 * UTF-16 codes and get their labels in this order. Without train and test folders all pictures are test pictures.
 * @throws FilterBasisError `not-found` (no classes, an empty class), `data-mismatch` (another size, other classes in train and test), what decoding throws
 */
export async function loadImageFolder(folder: string): Promise<ImageData> {
  const inside = await folders(folder);
  const pick = (names: readonly string[]) => inside.find((name) => names.includes(name));
  const [trainName, testName] = [pick(trainNames), pick(testNames)];
  if (trainName === undefined && testName === undefined) return { test: await loadClasses(folder) };
  const train = trainName === undefined ? undefined : await loadClasses(join(folder, trainName));
  const test = testName === undefined ? undefined : await loadClasses(join(folder, testName));
  if (train && test && train.classes.join("/") !== test.classes.join("/")) {
    throw new FilterBasisError("data-mismatch", "train and test have other classes", {
      file: folder,
      expected: train.classes.join(", "),
      got: test.classes.join(", "),
    });
  }
  return { ...(train && { train }), ...(test && { test }) };
}

async function loadClasses(folder: string): Promise<ImageSet> {
  const classes = await folders(folder);
  const files: { path: string; label: number }[] = [];
  for (const [label, name] of classes.entries()) {
    const pictures = (await readdir(join(folder, name))).filter((file) => !file.startsWith(".") && pictureFormat(file)).sort();
    if (pictures.length === 0)
      throw new FilterBasisError("not-found", "a class has no pictures", {
        file: join(folder, name),
        expected: "PNG, JPEG or WebP files",
      });
    files.push(...pictures.map((file) => ({ path: join(folder, name, file), label })));
  }
  if (files.length === 0)
    throw new FilterBasisError("not-found", "the folder holds no classes", { file: folder, expected: "CLASS/NAME.png" });
  let images: Uint8Array | undefined;
  let [height, width] = [0, 0];
  for (const [n, { path }] of files.entries()) {
    const picture = toRgb(await decodePicture(path));
    if (images === undefined) {
      ({ height, width } = picture);
      images = new Uint8Array(files.length * 3 * height * width);
    }
    if (picture.height !== height || picture.width !== width) {
      throw new FilterBasisError("data-mismatch", "the pictures of a data set must have one size", {
        file: path,
        expected: `${width} x ${height}`,
        got: `${picture.width} x ${picture.height}`,
      });
    }
    images.set(picture.data, n * 3 * height * width);
  }
  const labels = Int32Array.from(files, ({ label }) => label);
  return { name: folder, images: images!, labels, classes, count: files.length, height, width };
}

async function folders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
    .map(({ name }) => name)
    .sort();
}
