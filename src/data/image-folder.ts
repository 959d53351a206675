// A data set as folders of images: CLASS/NAME.png, or train/CLASS/NAME.png beside test/CLASS/NAME.png.
import { join } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import { decodeImage } from "./codec.js";
import { toRgb } from "./image.js";
import { imageFiles, listFolders } from "./image-files.js";
import type { ImageData, ImageSet } from "./image-set.js";

/** What may stand for the two parts. */
const trainNames = ["train", "training"];
const testNames = ["test", "val", "valid", "validation"];

/** The files of one part, and what their labels mean. */
export interface ClassFiles {
  readonly folder: string;
  readonly classes: readonly string[];
  readonly files: readonly { readonly path: string; readonly label: number }[];
}

/**
 * The images of a folder by class. The classes are the folders' names in the order of their UTF-16 codes and get their
 * labels in this order. Without train and test folders all images are test images.
 * @throws FilterBasisError `not-found` (no classes, an empty class), `data-mismatch` (other classes in train and test)
 */
export async function classFiles(folder: string): Promise<{ readonly train?: ClassFiles; readonly test?: ClassFiles }> {
  const inside = await listFolders(folder);
  const pick = (names: readonly string[]) => inside.find((name) => names.includes(name));
  const [trainName, testName] = [pick(trainNames), pick(testNames)];
  if (trainName === undefined && testName === undefined) return { test: await filesByClass(folder) };
  const train = trainName === undefined ? undefined : await filesByClass(join(folder, trainName));
  const test = testName === undefined ? undefined : await filesByClass(join(folder, testName));
  if (train && test && train.classes.join("/") !== test.classes.join("/")) {
    throw new FilterBasisError("data-mismatch", "train and test have other classes", {
      file: folder,
      expected: train.classes.join(", "),
      got: test.classes.join(", "),
    });
  }
  return { ...(train && { train }), ...(test && { test }) };
}

/** True where a folder in it holds images, or a folder of classes below train or test. */
export async function hasClasses(folder: string, parts = true): Promise<boolean> {
  for (const name of await listFolders(folder).catch(() => [])) {
    const inside = join(folder, name);
    const isPart = parts && [...trainNames, ...testNames].includes(name);
    if (isPart ? await hasClasses(inside, false) : await hasImages(inside)) return true;
  }
  return false;
}

const hasImages = async (folder: string): Promise<boolean> => (await imageFiles(folder).catch(() => [])).length > 0;

/** The folders of train and test in a folder, as far as images without classes lie in them. */
export async function imageParts(folder: string): Promise<{ readonly train?: string; readonly test?: string }> {
  const inside = await listFolders(folder).catch(() => []);
  const part = async (names: readonly string[]): Promise<string | undefined> => {
    const name = inside.find((one) => names.includes(one));
    const path = name === undefined ? undefined : join(folder, name);
    return path !== undefined && (await hasImages(path)) && !(await hasClasses(path, false)) ? path : undefined;
  };
  const [train, test] = [await part(trainNames), await part(testNames)];
  return { ...(train !== undefined && { train }), ...(test !== undefined && { test }) };
}

/**
 * Loads a folder of labelled images, all of one size; grey ones become RGB.
 * @throws FilterBasisError as `classFiles`; `data-mismatch` (another size), what decoding throws
 */
export async function loadImageFolder(folder: string): Promise<ImageData> {
  const { train, test } = await classFiles(folder);
  return { ...(train && { train: await loadFiles(train) }), ...(test && { test: await loadFiles(test) }) };
}

async function filesByClass(folder: string): Promise<ClassFiles> {
  const classes = await listFolders(folder);
  const files: { path: string; label: number }[] = [];
  for (const [label, name] of classes.entries()) {
    const images = await imageFiles(join(folder, name));
    if (images.length === 0)
      throw new FilterBasisError("not-found", "a class has no images", {
        file: join(folder, name),
        expected: "PNG, JPEG or WebP files",
      });
    files.push(...images.map((path) => ({ path, label })));
  }
  if (files.length === 0)
    throw new FilterBasisError("not-found", "the folder holds no classes", {
      file: folder,
      expected: "CLASS/NAME.png",
    });
  return { folder, classes, files };
}

async function loadFiles({ folder, classes, files }: ClassFiles): Promise<ImageSet> {
  let images: Uint8Array | undefined;
  let [height, width] = [0, 0];
  for (const [n, { path }] of files.entries()) {
    const image = toRgb(await decodeImage(path));
    if (images === undefined) {
      ({ height, width } = image);
      images = new Uint8Array(files.length * 3 * height * width);
    }
    if (image.height !== height || image.width !== width) {
      throw new FilterBasisError("data-mismatch", "the images of a data set must have one size", {
        file: path,
        expected: `${width} x ${height}`,
        got: `${image.width} x ${image.height}`,
      });
    }
    images.set(image.data, n * 3 * height * width);
  }
  const labels = Int32Array.from(files, ({ label }) => label);
  return { name: folder, images: images!, labels, classes, count: files.length, height, width };
}
