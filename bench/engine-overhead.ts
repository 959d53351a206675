// Small operators: what a call costs here and in PyTorch.
import { backward, empty, ones, type Tensor } from "../src/torch/index.js";
import * as ops from "../src/torch/ops.js";

/** The tensors below, in Python. */
export const pythonSetup = `
a, b, c = torch.ones(4), torch.ones(4), torch.ones(2, 2)
w = torch.ones(4, requires_grad=True)
x, k, g = torch.ones(1, 4, 8, 8), torch.ones(4, 4, 3, 3), torch.ones(4)
mean, var = torch.zeros(4), torch.ones(4)
many, others = [torch.zeros(16) for _ in range(32)], [torch.zeros(16) for _ in range(32)]
`;

export interface Row {
  readonly name: string;
  /** Calls in one measurement. */
  readonly n: number;
  readonly run: () => void;
  readonly python: string;
}

/**
 * Operators from the cheapest to those of a network, each with the same statement in Python. Results are disposed as
 * Python's are freed.
 */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: a table, one row an operator
export function rows(): readonly Row[] {
  const [a, b, c, w] = [ones([4]), ones([4]), ones([2, 2]), ones([4])];
  const [x, k, g, mean, variance] = [ones([1, 4, 8, 8]), ones([4, 4, 3, 3]), ones([4]), ops.zeros([4]), ones([4])];
  const [many, others] = [0, 1].map(() => Array.from({ length: 32 }, () => ops.zeros([16]))) as [Tensor[], Tensor[]];
  w.requiresGrad = true;
  const row = (name: string, n: number, run: () => Tensor | undefined, python: string): Row => ({
    name,
    n,
    run: () => run()?.dispose(),
    python,
  });
  const nothing = (run: () => unknown) => () => void run();
  return [
    row(
      "add_ (in place)",
      4000,
      nothing(() => ops.add_(a, b)),
      "a.add_(b)",
    ),
    row(
      "relu_ (in place)",
      4000,
      nothing(() => ops.relu_(a)),
      "torch.relu_(a)",
    ),
    row("add", 3000, () => ops.add(a, b), "torch.add(a, b)"),
    row("add a number", 3000, () => ops.addScalar(a, 2), "torch.add(a, 2)"),
    row("mul", 3000, () => ops.mul(a, b), "torch.mul(a, b)"),
    row("relu", 3000, () => ops.relu(a), "torch.relu(a)"),
    row("view", 3000, () => ops.view(a, [2, 2]), "a.view(2, 2)"),
    row("reshape", 3000, () => ops.reshape(a, [2, 2]), "torch.reshape(a, (2, 2))"),
    row("permute", 3000, () => ops.permute(c, [1, 0]), "torch.permute(c, (1, 0))"),
    row("slice", 3000, () => ops.slice(a, 0, 1, 3), "a[1:3]"),
    row("mean over axes", 2000, () => ops.meanDim(x, [2, 3]), "torch.mean(x, (2, 3))"),
    row("cat of two", 2000, () => ops.cat([a, b]), "torch.cat([a, b])"),
    row("linear", 2000, () => ops.linear(c, c), "F.linear(c, c)"),
    row("empty", 3000, () => empty([4]), "torch.empty(4)"),
    row("add, recorded for gradients", 2000, () => ops.add(w, b), "torch.add(w, b)"),
    row("convolution 4 -> 4, 3 x 3, 8 x 8", 500, () => ops.conv2d(x, k, null, 1, 1), "F.conv2d(x, k, None, 1, 1)"),
    row(
      "batch norm, training",
      500,
      () => ops.batchNorm(x, g, g, mean, variance, true, 0.1, 1e-5, true),
      "F.batch_norm(x, mean, var, g, g, True, 0.1, 1e-5)",
    ),
    row("max pool", 500, () => ops.maxPool2d(x, 2), "F.max_pool2d(x, 2)"),
    row(
      "_foreach_add_ of 32",
      300,
      nothing(() => ops.foreachAdd_(many, others, { alpha: 2 })),
      "torch._foreach_add_(many, others, alpha=2)",
    ),
    row(
      "select",
      3000,
      nothing(() => ops.select(a, 0, 0).dispose()),
      "a.select(0, 0)",
    ),
    row(
      "sum and its backward",
      500,
      nothing(() => {
        using loss = ops.sum(w);
        backward(loss);
      }),
      "w.sum().backward()",
    ),
  ];
}
