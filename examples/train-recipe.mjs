// Trains by a recipe, one of the project's or a file of your own, and shows every epoch. Needs libtorch.
//
//     npm install filterbasis && npx filterbasis setup
//     node train-recipe.mjs resnet20-cifar10 runs/mine epochs=1
//
// Ctrl-C saves a checkpoint; started again with the same folder, the run goes on where it was.
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { loadRecipe, trainInWorker } from "filterbasis";

const [name = "resnet20-cifar10", folder = "runs/mine", ...fields] = process.argv.slice(2);
const begun = await stat(join(folder, "recipe.json")).catch(() => undefined);
const stopping = new AbortController();
process.once("SIGINT", () => stopping.abort());

const result = await trainInWorker(
  folder,
  begun ? "resume" : await loadRecipe(name, fields),
  { onEpoch: ({ epoch, trainLoss, metrics }) => console.log(epoch, trainLoss.toFixed(3), metrics) },
  stopping.signal,
);
console.log(result.finished ? "finished" : "stopped", "after", result.globalStep, "steps:", result.metrics);
