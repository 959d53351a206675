// Plans a network for several budgets, and compresses it by the smallest one that stays below a limit of your own.
//
//     npm install filterbasis
//     node choose-by-budget.mjs model.onnx small.onnx 0.3
//
// A plan changes nothing and takes seconds. Its error is ||W - B A|| / ||W||: what the filters of a layer lose, 0 for
// nothing. It says which plan is gentler, and not what the outputs lose: for that give images, as own-data-set.mjs
// does.
import { compressModel, loadModel, planModel } from "filterbasis";

const [file = "model.onnx", output = "small.onnx", limit = "0.3"] = process.argv.slice(2);
const given = { graph: await loadModel(file), file };

let chosen;
for (const keepParams of [0.75, 0.5, 0.25]) {
  const { plan } = await planModel(given, { plan: { keepParams } });
  const worst = Math.max(...plan.groups.map(({ error }) => error));
  console.log(`${keepParams} of the weights: the largest error of a layer is ${worst.toFixed(3)}`);
  if (worst > Number(limit)) break;
  chosen = keepParams;
}

if (chosen === undefined) console.log(`no budget stays below ${limit}`);
else {
  const { after } = await compressModel(given, output, { plan: { keepParams: chosen } });
  console.log(`wrote ${output}: ${after.weights} weights`);
}
