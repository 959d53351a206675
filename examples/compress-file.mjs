// Compresses a network to half of its weights, from its filters alone.
//
//     npm install filterbasis
//     node compress-file.mjs model.onnx small.onnx
//
// The file is written only when ONNX Runtime has verified it, and when it is smaller and no slower than the one given.
import { compressModel, isError, loadModel } from "filterbasis";

const [file = "model.onnx", output = "small.onnx"] = process.argv.slice(2);
try {
  const given = { graph: await loadModel(file), file };
  const { before, after, bytes, written, plan } = await compressModel(given, output, { plan: { keepParams: 0.5 } });
  console.log(`weights       ${before.weights} -> ${after.weights}`);
  console.log(`bytes         ${bytes.original} -> ${bytes.written}`);
  console.log(`milliseconds  ${written.original.toFixed(2)} -> ${written.written.toFixed(2)}`);
  for (const { name, reason } of plan.skipped) console.log(`skipped ${name}: ${reason}`);
} catch (error) {
  if (!isError(error, "does-not-pay", "budget-unreachable")) throw error;
  console.log(`nothing was written: ${error.message}`);
}
