import { expect, it } from "vitest";
import { describeEngine } from "../../test/engine.js";
import { isError } from "../errors/error.js";
import type { Argument } from "./call.js";
import {
  backward,
  call,
  callAll,
  callAsync,
  engineInfo,
  fromArray,
  gradients,
  liveTensors,
  ones,
  randn,
  scalar,
  type Tensor,
  TensorScope,
  zeros,
} from "./index.js";

const vector = (...values: number[]) => fromArray(Float32Array.from(values), [values.length]);
const list = (tensor: Tensor) => Array.from(tensor.data(), Number);

/** Calls by a name that the types do not know: the arguments choose the overload. */
const loosely: (name: string, ...args: Argument[]) => Tensor = call;

/** The error of a call, which must be the engine's and name operator and schema. */
function refusal(run: () => unknown) {
  try {
    run();
  } catch (error) {
    if (isError(error, "engine")) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describeEngine("arguments by schema", () => {
  it("takes defaults, positions and names", () => {
    const [a, b] = [vector(1, 2), vector(10, 20)];
    expect(list(call("add.Tensor", a, b))).toEqual([11, 22]);
    expect(list(call("add.Tensor", a, b, { alpha: 2 }))).toEqual([21, 42]);
    expect(list(call("add.Tensor", a, b, { alpha: undefined }))).toEqual([11, 22]);
  });

  it("chooses the overload from the arguments when none is named", () => {
    const x = fromArray(Float32Array.of(1, 5, 3, 4), [2, 2]);
    expect(list(loosely("add", x, x))).toEqual([2, 10, 6, 8]);
    expect(list(loosely("add", x, 1))).toEqual([2, 6, 4, 5]);
    expect(loosely("max", x).item()).toBe(5);
    expect(callAll("max.dim", x, 1).map((t) => list(t as Tensor))).toEqual([
      [5, 4],
      [1, 1],
    ]);
    expect(loosely("mean", x, [0]).shape).toEqual([2]);
    expect(loosely("to", x, "int64").dtype).toBe("int64");
  });

  it("takes lists, one number for a list of fixed length, tensor lists, optional tensors, dtypes, devices and memory formats", () => {
    const x = ones([1, 1, 4, 4]);
    const w = ones([1, 1, 3, 3]);
    expect(call("conv2d", x, w, null, 1, 1).shape).toEqual([1, 1, 4, 4]);
    expect(call("conv2d", x, w, null, [2, 1], [1, 1]).shape).toEqual([1, 1, 2, 4]);
    expect(call("cat", [x, x], 1).shape).toEqual([1, 2, 4, 4]);
    expect(call("zeros", [2], { dtype: "float64", device: "cpu" }).dtype).toBe("float64");
    expect(call("contiguous", x, { memory_format: "channels_last" }).shape).toEqual([1, 1, 4, 4]);
    const picked = call("index.Tensor", x, [null, null, fromArray(BigInt64Array.of(0n, 2n), [2])]);
    expect(picked.shape).toEqual([1, 1, 2, 4]);
  });

  it("takes lists of any length", () => {
    const many = Array.from({ length: 5000 }, () => 1); // longer than what is written out
    expect(callAll("split_with_sizes", zeros([5000]), many)).toHaveLength(5000);
    expect(call("permute", zeros([2, 3, 4]), [2, 0, 1]).shape).toEqual([4, 2, 3]);
    expect(call("reshape", scalar(1), []).shape).toEqual([]);
    expect(call("mean.dim", zeros([2, 3]), -1).shape).toEqual([2]);
    const tensors = many.map(() => vector(1));
    callAll("_foreach_add_.List", tensors, tensors, { alpha: 2 });
    expect(list(tensors[4999]!)).toEqual([3]);
  });

  it("works through lists of tensors in place and gives nothing", () => {
    using _scope = new TensorScope();
    const [a, b, c] = [vector(1, 2), vector(3), vector(4, 5)];
    const before = liveTensors();
    expect(callAll("_foreach_add_.List", [a, b], [c, b], { alpha: 2 })).toEqual([]);
    expect(callAll("_foreach_mul_.Scalar", [a, b], 10)).toEqual([]);
    expect(callAll("_foreach_addcmul_.Scalar", [a], [c], [c], 0.5)).toEqual([]);
    expect([a, b].map(list)).toEqual([[98, 132.5], [90]]);
    expect(liveTensors()).toBeLessThanOrEqual(before); // less: other tests' tensors may be collected meanwhile
  });

  it("promotes numbers as Python does", () => {
    expect(call("mul.Tensor", fromArray(Int32Array.of(3), [1]), 2).dtype).toBe("int32");
    expect(call("mul.Tensor", vector(3), 0.5).dtype).toBe("float32");
    expect(call("full", [1], 1).dtype).toBe("int64"); // why make.ts says float32
    expect(list(call("add", fromArray(BigInt64Array.of(2n ** 60n), [1]), 1n))[0]).toBe(Number(2n ** 60n + 1n));
  });

  it("gives the very tensor back that an operator changed in place", () => {
    const x = vector(1, -1);
    expect(call("relu_", x)).toBe(x);
    expect(list(x)).toEqual([1, 0]);
  });
});

describeEngine("refusals name the operator and its schema, and never abort", () => {
  const x = () => zeros([2, 3]);
  const rows: [string, () => unknown, RegExp][] = [
    ["a shape mismatch", () => call("mm", x(), x()), /cannot be multiplied.*aten::mm\(/],
    ["an unknown operator", () => call("no_such_thing", x()), /no_such_thing.*no operator of this name/],
    ["an unknown overload", () => call("add.NoSuch", x()), /add\.NoSuch.*no operator of this name/],
    ["a wrong type", () => call("relu.", "text"), /"self".*expected a tensor.*aten::relu\(/],
    ["a fraction for an integer", () => call("select.int", x(), 0.5, 0), /"dim".*expected an integer.*aten::select/],
    ["too many arguments", () => call("relu.", x(), x()), /too many arguments.*aten::relu\(/],
    ["a missing argument", () => call("mm.", x()), /"mat2": missing.*aten::mm\(/],
    ["an unknown name", () => call("relu.", x(), { speed: 2 }), /no argument is named "speed".*aten::relu\(/],
    ["an argument given twice", () => call("relu.", x(), { self: x() }), /given twice/],
    ["an unknown dtype", () => call("zeros.", [1], { dtype: "float33" }), /unknown dtype "float33"/],
    ["a foreign object", () => call("relu.", new Date() as never), /got \[object Date\].*aten::relu\(/],
    ["an object that resembles a tensor", () => call("relu.", { handle: 1 } as never), /aten::relu\(/],
    ["no fitting overload", () => call("add", "a", "b"), /overloads takes these arguments.*aten::add/],
    ["a list in which not all are tensors", () => call("cat.", [x(), 1]), /"tensors".*expected a tensor.*aten::cat/],
    ["a number for a list of tensors", () => call("cat.", 3), /expected an array.*aten::cat/],
    ["a fraction for a list of integers", () => call("mean.dim", x(), 0.5), /expected an integer, got 0.5.*aten::mean/],
    [
      "a fraction in a list of integers",
      () => call("permute", x(), [0.5, 1]),
      /"dims".*expected an integer.*aten::permute/,
    ],
    ["lists of different lengths", () => callAll("_foreach_add_.List", [x()], [x(), x()]), /aten::_foreach_add_/],
    ["empty lists", () => callAll("_foreach_add_.Scalar", [], 1), /no tensor arguments|at least one tensor/],
    [
      "a list without its number",
      () => callAll("_foreach_mul_.Scalar" as string, [x()]),
      /"scalar": missing.*aten::_foreach_mul_/,
    ],
    [
      "a list where a number belongs",
      () => callAll("_foreach_mul_.Scalar" as string, [x()], [1]),
      /"scalar".*expected a number/,
    ],
    [
      "nothing where one tensor is wanted",
      () => call("_foreach_mul_.Scalar" as string, [x()], 1),
      /does not give one tensor/,
    ],
    ["more memory than there is", () => call("empty.memory_format", [2 ** 45]), /memory.*aten::empty/],
    ["a size beyond 64 bits", () => call("empty.memory_format", [1e300]), /expected an integer/],
  ];
  it.each(rows)("%s", (_, run, message) => {
    const error = refusal(run);
    expect(error.message.replaceAll("\n", " ")).toMatch(message);
    expect(error.place.op).toBeDefined();
  });

  it("a disposed tensor, as an argument and by itself", () => {
    const gone = x();
    gone.dispose();
    expect(gone.disposed).toBe(true);
    expect(refusal(() => call("relu", gone)).message).toMatch(/disposed.*aten::relu\(/);
    expect(refusal(() => gone.shape).message).toMatch(/disposed/);
    expect(refusal(() => call("cat", [x(), gone])).message).toMatch(/disposed/);
    expect(refusal(() => callAll("_foreach_add_.List", [x()], [gone])).message).toMatch(/"other".*disposed/);
    gone.dispose(); // twice does no harm
  });

  it("CUDA on a build or machine without it", () => {
    if (engineInfo().cuda) return;
    expect(refusal(() => call("zeros", [1], { device: "cuda" })).message).toMatch(/CUDA|Torch not compiled|backend/i);
    expect(refusal(() => call("zeros", [1], { device: "warp drive" })).message).toMatch(/device/);
  });

  it("an asynchronous call", async () => {
    await expect(callAsync("mm", x(), x())).rejects.toMatchObject({ code: "engine", place: { op: "mm" } });
  });

  it("gradients that cannot be", () => {
    const w = ones([2]);
    expect(refusal(() => backward(call("sum", w))).message).toMatch(/does not require grad/);
    w.requiresGrad = true;
    expect(refusal(() => backward(call("add.Tensor", w, w))).message).toMatch(/scalar/);
    expect(refusal(() => (w.grad = zeros([3]))).message).toMatch(/shape/);
    const loss = call("sum", call("mul.Tensor", w, w));
    backward(loss);
    expect(refusal(() => backward(loss)).message).toMatch(/second time|freed/);
    expect(refusal(() => (fromArray(BigInt64Array.of(1n), [1]).requiresGrad = true)).message).toMatch(/floating/i);
  });
});

describeEngine("autograd", () => {
  it("leaves gradients at the leaves and adds to them", () => {
    const w = vector(1, 2, 3);
    w.requiresGrad = true;
    const loss = () => call("sum", call("mul.Tensor", w, w));
    backward(loss());
    expect(list(w.grad!)).toEqual([2, 4, 6]);
    backward(loss());
    expect(list(w.grad!)).toEqual([4, 8, 12]);
    w.grad = null;
    expect(w.grad).toBeNull();
  });

  it("gives gradients of chosen inputs, of gradients too", () => {
    const w = scalar(3);
    w.requiresGrad = true;
    const cube = call("mul.Tensor", call("mul.Tensor", w, w), w);
    const [first] = gradients([cube], [w], { createGraph: true });
    expect(first!.item()).toBe(27);
    const [second] = gradients([first!], [w]);
    expect(second!.item()).toBe(18);
    const unused = scalar(1);
    unused.requiresGrad = true;
    expect(gradients([call("mul.Tensor", w, w)], [unused], { allowUnused: true })).toEqual([null]);
  });

  it("agrees with differences of a convolution's loss", () => {
    const [x, w] = [randn([1, 2, 5, 5], { dtype: "float64" }), randn([3, 2, 3, 3], { dtype: "float64" })];
    w.requiresGrad = true;
    const loss = () => call("sum", call("pow.Tensor_Scalar", call("conv2d", x, w, null, 1, 1), 2));
    backward(loss());
    const values = w.data() as Float64Array;
    const at = (value: number) => {
      const moved = Float64Array.from(values);
      moved[7] = value;
      return call(
        "sum",
        call("pow.Tensor_Scalar", call("conv2d", x, fromArray(moved, [3, 2, 3, 3]), null, 1, 1), 2),
      ).item();
    };
    const step = 1e-4;
    const difference = (at(values[7]! + step) - at(values[7]! - step)) / (2 * step);
    // A quadratic: central differences are exact but for rounding.
    expect(Math.abs(Number(w.grad!.data()[7]) - difference)).toBeLessThan(1e-6 * Math.max(1, Math.abs(difference)));
  });
});
