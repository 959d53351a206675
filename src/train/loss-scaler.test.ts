import { expect, it } from "vitest";
import { describeEngine } from "../../test/engine.js";
import { backward, call, fromArray, manualSeed, TensorScope } from "../torch/index.js";
import { LossScaler } from "./loss-scaler.js";

describeEngine("loss scaling", () => {
  const parameter = (values: readonly number[]) => {
    const tensor = fromArray(Float32Array.from(values), [values.length]);
    tensor.requiresGrad = true;
    return tensor;
  };

  it("leaves gradients as they would be without it", () => {
    using _scope = new TensorScope();
    manualSeed(1);
    const [plain, scaled] = [parameter([1, 2, 3]), parameter([1, 2, 3])];
    const loss = (of: typeof plain) => call("sum", call("mul.Tensor", of, of));
    backward(loss(plain));
    const scaler = new LossScaler();
    backward(scaler.scaled(loss(scaled)));
    expect(scaler.unscale([scaled])).toBe(true);
    expect(scaled.grad!.floats()).toEqual(plain.grad!.floats());
    expect(scaler.save()).toEqual({ scale: 65536, good: 1 });
  });

  it("drops gradients that overflow, halves the scale, and doubles it after 2000 steps that do not", () => {
    using _scope = new TensorScope();
    const [one, scaler] = [parameter([1]), new LossScaler()];
    one.grad = fromArray(Float32Array.of(Number.POSITIVE_INFINITY), [1]);
    expect(scaler.unscale([one])).toBe(false);
    expect(one.grad).toBeNull();
    expect(scaler.save()).toEqual({ scale: 32768, good: 0 });
    scaler.load({ scale: 32768, good: 1999 });
    one.grad = fromArray(Float32Array.of(32768), [1]);
    expect(scaler.unscale([one])).toBe(true);
    expect(one.grad!.floats()).toEqual(Float32Array.of(1));
    expect(scaler.save()).toEqual({ scale: 65536, good: 0 });
  });
});
