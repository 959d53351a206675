// The authors' approximation term: the mean of squared differences over each compressed layer's filters, plus a small
// mean of squared basis values (the design's Eq. 12 takes sums instead: `approximationLoss`, from which this is made).
import { z } from "zod";
import { elements, float32Tensor } from "../../src/graph/attributes.js";
import { floats } from "../../src/graph/values.js";
import { backward, call, fromArray, type Tensor, TensorScope } from "../../src/torch/index.js";
import { approximationLoss } from "../../src/train/losses.js";
import { type Check, type Entry, type Folder, largest, largestDifference, need, parse } from "./entry.js";

const schema = z.looseObject({ file: z.string(), loss: z.number(), norm: z.number(), total_added: z.number() });
/** How much of the mean squared basis is added in the authors' classification trainer. */
const share = 0.05;

export function checkLossNorm(entry: Entry, folder: Folder): readonly Check[] {
  const o = parse(schema, entry, entry.name);
  const tensors = folder.tensors(o.file);
  using _scope = new TensorScope();
  const leaf = (name: string): Tensor => {
    const data = need(tensors, name);
    const tensor = fromArray(floats(data), data.dims);
    tensor.requiresGrad = name.startsWith("basis.");
    return tensor;
  };
  const layers = [...tensors.keys()].flatMap(
    (name) => /^basis\.(features\.\d+)\.conv\.3\.weight$/.exec(name)?.[1] ?? [],
  );
  const leaves = new Map<string, Tensor>();
  let loss: Tensor | null = null;
  let norm: Tensor | null = null;
  const checks: Check[] = [];
  const add = (sum: Tensor | null, term: Tensor) => (sum === null ? term : call("add.Tensor", sum, term));
  layers.forEach((name, i) => {
    const [basis, coefficients] = [leaf(`basis.${name}.conv.0.weight`), leaf(`basis.${name}.conv.3.weight`)];
    leaves.set(`${name}.conv.0.weight`, basis).set(`${name}.conv.3.weight`, coefficients);
    const original = leaf(`pre.${name}.0.weight`);
    const layer = { name, original, basis: () => basis, coefficients };
    loss = add(loss, call("div.Scalar", approximationLoss([layer]) as Tensor, elements(original.shape)));
    norm = add(norm, call("mean", call("square", basis)));
    const zero = { ...layer, original: leaf(`recon.${i}`) }; // our reconstruction against the recorded one
    checks.push({
      what: `reconstruction ${i}`,
      difference: (approximationLoss([zero]) as Tensor).item() / elements(original.shape),
      allowed: 1e-12,
    });
  });
  const total = add(loss, call("mul.Scalar", norm as unknown as Tensor, share));
  backward(total);
  const close = (what: string, value: number, recorded: number) =>
    checks.push({ what, difference: Math.abs(value - recorded) / recorded, allowed: 1e-6 });
  close("loss", (loss as unknown as Tensor).item(), o.loss);
  close("norm", (norm as unknown as Tensor).item(), o.norm);
  close("total", total.item(), o.total_added);
  for (const [name, tensor] of leaves) {
    const recorded = need(tensors, `grad.${name}`);
    const ours = float32Tensor(recorded.dims, Float32Array.from(tensor.grad?.data() as Float32Array));
    checks.push({
      what: `gradient of ${name}`,
      difference: largestDifference(ours, recorded) / largest(recorded),
      allowed: 1e-5,
    });
  }
  return checks;
}
