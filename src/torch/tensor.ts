// A tensor of libtorch: what it says about itself, its elements, its gradient.
import { FilterBasisError } from "../errors/error.js";
import type { Device } from "./device.js";
import type { DType } from "./dtype.js";
import { guarded } from "./errors.js";
import { giveHandle, goneHandle } from "./handles.js";
import { type Handle, loadEngine, type NumberArray } from "./native.js";
import { innermostScope } from "./scope.js";

export type { DType } from "./dtype.js";

/** Makes the array in which the elements of a dtype are handed out; half precision as its 16 bits. */
const arrays: Partial<Record<DType, { new (length: number): NumberArray; new (buffer: ArrayBuffer): NumberArray }>> = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  uint8: Uint8Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
};

function arrayOf(dtype: DType) {
  const found = arrays[dtype];
  if (found === undefined)
    throw new FilterBasisError("unsupported", `elements of ${dtype} have no typed array`, { op: "data" });
  return found;
}

/** A tensor. It lives until it is disposed, its scope closes, or it is collected as garbage. */
export class Tensor implements Disposable {
  /** The addon's side of it; for the engine only. It changes once, on disposal, because handles serve again. */
  handle: Handle;

  /** @internal */
  constructor(handle: Handle) {
    this.handle = handle;
    innermostScope()?.own(this);
  }

  get shape(): readonly number[] {
    return guarded("shape", () => loadEngine().shape(this.handle));
  }

  get dtype(): DType {
    return guarded("dtype", () => loadEngine().dtype(this.handle)) as DType;
  }

  get device(): Device {
    return guarded("device", () => loadEngine().device(this.handle)) as Device;
  }

  /** Number of elements. */
  get size(): number {
    return this.shape.reduce((product, length) => product * length, 1);
  }

  get requiresGrad(): boolean {
    return guarded("requiresGrad", () => loadEngine().requiresGrad(this.handle));
  }

  set requiresGrad(value: boolean) {
    guarded("requiresGrad", () => loadEngine().requiresGrad(this.handle, value));
  }

  /** True for tensors that no recorded operation made: only they collect gradients. */
  get isLeaf(): boolean {
    return guarded("isLeaf", () => loadEngine().isLeaf(this.handle));
  }

  /** The gradient that backward() left here, as a new tensor on the same memory; null where there is none. */
  get grad(): Tensor | null {
    const handle = guarded("grad", () => loadEngine().getGradient(this.handle));
    return handle && new Tensor(handle);
  }

  set grad(gradient: Tensor | null) {
    guarded("grad", () => loadEngine().setGradient(this.handle, gradient === null ? null : gradient.handle));
  }

  /** The number in a tensor of one element. Booleans are 0 and 1. */
  item(): number {
    return Number(guarded("item", () => loadEngine().item(this.handle)));
  }

  /** A copy of the elements, in order. float16 and bfloat16 come as their 16 bits, bool as 0 and 1. */
  data(): NumberArray {
    const elements = new (arrayOf(this.dtype))(this.size);
    this.copyTo(elements);
    return elements;
  }

  /**
   * The elements themselves, without a copy: what is written there is in the tensor, and the other way round. The
   * memory outlives the tensor as long as the array is held. For contiguous tensors on the CPU. The quickest way to
   * fill a batch: `empty(shape).elements()`.
   */
  elements(): NumberArray {
    const buffer = guarded("elements", () => loadEngine().memory(this.handle));
    return new (arrayOf(this.dtype))(buffer);
  }

  /** A copy of the elements of a float32 tensor. */
  floats(): Float32Array {
    const elements = this.data();
    if (elements instanceof Float32Array) return elements;
    throw new FilterBasisError("type-mismatch", "the tensor holds no floats", {
      op: "floats",
      expected: "float32",
      got: this.dtype,
    });
  }

  /** Copies the elements into an array of the same byte length. */
  copyTo(elements: NumberArray): void {
    guarded("copyTo", () => loadEngine().copyTo(this.handle, elements));
  }

  /** Where the elements lie: equal for tensors that share memory from its start. */
  get address(): bigint {
    return guarded("address", () => loadEngine().dataPointer(this.handle));
  }

  get disposed(): boolean {
    return this.handle === goneHandle();
  }

  /** Gives the memory back now. Disposing twice does no harm; any other use afterwards is an error. */
  dispose(): void {
    const { handle } = this;
    if (handle === goneHandle()) return;
    this.handle = goneHandle();
    loadEngine().dispose(handle);
    giveHandle(handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * A tensor with a copy of the elements, on a device. A dtype of the same element size reads the same bytes anew (bool
 * from Uint8Array, bfloat16 from Uint16Array); without one it follows the array. A copy to a GPU goes through pinned
 * memory, beside the kernels that are queued there.
 */
export function fromArray(data: NumberArray, shape: readonly number[], dtype?: DType, device?: Device): Tensor {
  return new Tensor(guarded("fromArray", () => loadEngine().fromTypedArray(data, shape, dtype, device)));
}
