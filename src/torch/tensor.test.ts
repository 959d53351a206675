import { expect, it } from "vitest";
import { describeEngine, liveTensorsAfterCollection } from "../../test/engine.js";
import {
  call,
  callAsync,
  empty,
  fromArray,
  generatorState,
  liveTensors,
  manualSeed,
  noGrad,
  randn,
  setGeneratorState,
  setThreads,
  type Tensor,
  TensorScope,
  threads,
  tidy,
  unowned,
  zeros,
} from "./index.js";

describeEngine("typed arrays in and out", () => {
  it.each([
    ["float32", Float32Array.of(1.5, -2)],
    ["float64", Float64Array.of(1.5, -2)],
    ["uint8", Uint8Array.of(1, 255)],
    ["int8", Int8Array.of(1, -2)],
    ["int16", Int16Array.of(1, -2)],
    ["int32", Int32Array.of(1, -2)],
    ["int64", BigInt64Array.of(1n, -2n)],
  ] as const)("keeps %s", (dtype, data) => {
    const tensor = fromArray(data, [2]);
    expect([tensor.dtype, tensor.shape, tensor.device, tensor.size]).toEqual([dtype, [2], "cpu", 2]);
    expect(tensor.data()).toEqual(data);
  });

  it("reads bytes anew when the dtype says so", () => {
    expect(fromArray(Uint8Array.of(1, 0), [2], "bool").dtype).toBe("bool");
    expect(call("to", fromArray(Uint16Array.of(0x3f80), [1], "bfloat16"), "float32").item()).toBe(1);
    expect(() => fromArray(Float32Array.of(1), [1], "float64")).toThrow(/size differs/);
  });

  it("copies: the array and the tensor live apart", () => {
    const data = Float32Array.of(1, 2);
    const tensor = fromArray(data, [2]);
    data[0] = 9;
    expect(tensor.data()[0]).toBe(1);
  });

  it("shares its own memory without a copy, and the memory outlives the tensor", () => {
    const tensor = empty([2, 2]);
    const elements = tensor.elements() as Float32Array;
    elements.set([1, 2, 3, 4]);
    expect(call("sum", tensor).item()).toBe(10);
    call("mul_.Scalar", tensor, 2);
    expect([...elements]).toEqual([2, 4, 6, 8]);
    tensor.dispose();
    expect([...elements]).toEqual([2, 4, 6, 8]);
    expect(() => call("permute", zeros([2, 3]), [1, 0]).elements()).toThrow(/contiguous/);
  });

  it("orders the elements of views", () => {
    const x = fromArray(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
    expect([...call("permute", x, [1, 0]).floats()]).toEqual([1, 4, 2, 5, 3, 6]);
    expect(call("view", x, [6]).address).toBe(x.address);
  });

  it.each([
    ["a negative size", () => fromArray(Float32Array.of(1), [-1]), /negative/],
    ["too few elements", () => fromArray(Float32Array.of(1), [2, 2]), /needs 4 elements/],
    ["a product that wraps around", () => fromArray(new Float32Array(0), [2 ** 32, 2 ** 32]), /needs/],
    ["item of several elements", () => zeros([2]).item(), /2 elements cannot be converted/],
    ["a target of another size", () => zeros([2]).copyTo(new Float32Array(3)), /bytes/],
  ])("refuses %s", (_, run, message) => expect(run).toThrow(message));
});

describeEngine("scopes", () => {
  it("dispose what was made in them, but for what is kept", () => {
    const before = liveTensorsAfterCollection();
    const kept: Tensor[] = [];
    {
      using outer = new TensorScope();
      {
        using inner = new TensorScope();
        const x = zeros([4]);
        call("add", x, 1);
        kept.push(inner.keep(call("add", x, 2)));
      }
      expect(liveTensors()).toBe(before + 1); // the outer scope has it now
      kept.push(outer.keep(unowned(() => zeros([1]))));
    }
    expect(liveTensors()).toBe(before + 1);
    expect(kept.map(({ disposed }) => disposed)).toEqual([true, false]);
    kept[1]!.dispose();
    expect(liveTensors()).toBe(before);
  });

  it("close when an error flies through", () => {
    const before = liveTensorsAfterCollection();
    expect(() => tidy(() => call("mm", zeros([2, 3]), zeros([2, 3])))).toThrow();
    expect(liveTensors()).toBe(before);
  });

  it("let a disposed tensor's handle serve again without waking the dead", () => {
    const old = zeros([1]);
    old.dispose();
    const young = zeros([2]);
    expect(old.disposed).toBe(true);
    expect(young.shape).toEqual([2]);
    old.dispose();
    expect(young.disposed).toBe(false);
  });
});

describeEngine("the engine's state", () => {
  it("repeats its random numbers from a seed and from a saved state", () => {
    manualSeed(7);
    const first = randn([5]).data();
    const state = generatorState();
    const second = randn([5]).data();
    manualSeed(7);
    expect(randn([5]).data()).toEqual(first);
    setGeneratorState(state);
    expect(randn([5]).data()).toEqual(second);
    expect(() => setGeneratorState(state.slice(1))).toThrow();
  });

  it("bounds the threads and refuses nonsense", () => {
    const before = threads();
    setThreads(1);
    expect(threads()).toBe(1);
    expect(() => setThreads(0)).toThrow(/from 1 to/);
    setThreads(before);
  });

  it("switches recording off inside noGrad only, also when it throws", () => {
    const w = zeros([1]);
    w.requiresGrad = true;
    expect(noGrad(() => call("add", w, 1).requiresGrad)).toBe(false);
    expect(() => noGrad(() => call("mm", w, w))).toThrow();
    expect(call("add", w, 1).requiresGrad).toBe(true);
  });

  it("computes on its private thread while the event loop lives", async () => {
    const x = randn([700, 700]);
    const ticks: number[] = [];
    const timer = setInterval(() => ticks.push(0), 1);
    const products = await Promise.all([1, 2, 3].map(() => callAsync("mm", x, x)));
    clearInterval(timer);
    expect(products).toHaveLength(3);
    expect(ticks.length).toBeGreaterThan(0);
    const there = noGrad(() => callAsync("add.Tensor", x, x));
    expect(((await there) as Tensor).shape).toEqual([700, 700]);
  });
});
