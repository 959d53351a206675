// Compresses a network on images that come from anywhere: a database, an archive, a camera. No labels are needed.
//
//     npm install filterbasis
//     node own-data-set.mjs model.onnx small.onnx photos/
//
// A data set is an object with a name and `inputs`. Here its images are the PNG files of a folder; put your own
// source where they are listed. An image that cannot be decoded is skipped, and named.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { calibrationData, compressOnData, decodeImage, findInputs, inputsOf, loadModel } from "filterbasis";

const [file = "model.onnx", output = "small.onnx", folder = "photos"] = process.argv.slice(2);

const names = (await readdir(folder)).filter((name) => name.endsWith(".png"));
/** @type {import("filterbasis").Candidate[]} */
const images = names.map((name) => ({
  file: name, // how messages name it
  load: async (sizing) => decodeImage(await readFile(join(folder, name)), { file: name, ...(sizing && { sizing }) }),
}));
/** @type {import("filterbasis").Data} */
const photos = { name: "photos", inputs: (options) => inputsOf("photos", images, options) };

const graph = await loadModel(file);
// How an image becomes an input is for you to say: `imagenet` is what torchvision's networks expect.
const data = await calibrationData(graph, photos, await findInputs(graph), { normalize: "imagenet" });
const options = { budget: { keepParams: 0.5 } }; // or { speedup: 1.5 }, { latency: 20 }, {} with maxLoss
const { before, after, compared } = await compressOnData({ graph, file }, output, data, options);
console.log(`${before.weights} -> ${after.weights} weights`);
const { kind, mean } = compared.loss;
console.log(`${kind} ${mean.toPrecision(3)} on ${compared.inputs} images that nothing was fitted to`);
