// Quantises a network: its layers compute in eight bits, with ranges measured on images, without labels.
//
//     npm install filterbasis
//     node quantize.mjs model.onnx int8.onnx photos/
//
// `auto` instead of `int8` keeps layers in floats, or the whole network, where eight bits are slower or lose too much.
import { calibrationData, findInputs, isError, loadModel, openData, quantizeOnData } from "filterbasis";

const [file = "model.onnx", output = "int8.onnx", folder = "photos"] = process.argv.slice(2);
const graph = await loadModel(file);
const images = { normalize: "imagenet", images: 64 };
const data = await calibrationData(graph, await openData(folder), await findInputs(graph), images);
try {
  const result = await quantizeOnData({ graph, file }, output, data, { precision: "int8" });
  console.log(`${result.layers.length} layers in eight bits for ${result.target}`);
  for (const { name, reason } of result.float) console.log(`in floats ${name}: ${reason}`);
  console.log(`${result.bytes.original} -> ${result.bytes.written} bytes`);
  console.log(`${result.times.original.toFixed(2)} -> ${result.times.written.toFixed(2)} ms`);
  console.log(`${result.compared.loss.kind} ${result.compared.loss.mean.toPrecision(3)}`);
} catch (error) {
  if (!isError(error, "does-not-pay", "unsupported")) throw error;
  console.log(`nothing was written: ${error.message}`);
}
