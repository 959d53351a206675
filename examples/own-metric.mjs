// Compresses a network as far as a metric of your own allows: here the share of images whose first class stays.
//
//     npm install filterbasis
//     node own-metric.mjs model.onnx small.onnx photos/ 0.95
//
// A metric is any function of the outputs of both networks. What it rejects is removed again.
import { rm } from "node:fs/promises";
import { compressModel, findInputs, floats, loadModel, modelFeeds, openData, openSession } from "filterbasis";

const [file = "model.onnx", output = "small.onnx", folder = "photos", least = "0.95"] = process.argv.slice(2);
const graph = await loadModel(file);
const feeds = await modelFeeds(graph, await openData(folder), await findInputs(graph), { normalize: "imagenet" });

/** The first class of every image. @param {string} model */
async function classes(model) {
  const session = await openSession(model);
  const found = [];
  for (let i = 0; i < feeds.count; i++) {
    const [first] = Object.values(await session.run(await feeds.at(i, 1)));
    const scores = Array.from(first ? floats(first) : []);
    found.push(scores.indexOf(Math.max(...scores)));
  }
  await session.release();
  return found;
}

const expected = await classes(file);
let chosen;
for (const keepParams of [0.25, 0.5, 0.75]) {
  await compressModel({ graph, file }, output, { plan: { keepParams } });
  const got = await classes(output);
  const same = got.filter((one, i) => one === expected[i]).length / expected.length;
  console.log(`${keepParams} of the weights: ${(100 * same).toFixed(1)} % of ${feeds.count} images keep their class`);
  if (same >= Number(least)) {
    chosen = keepParams;
    break;
  }
  await rm(output);
}
console.log(chosen === undefined ? "nothing was written: none is enough" : `wrote ${output}`);
