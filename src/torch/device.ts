// Devices as values: how one is written, and whether it is here. It goes from a recipe or `--device` to everything
// that makes a tensor.
import { FilterBasisError } from "../errors/error.js";
import { guarded } from "./errors.js";
import { type Gpu, loadEngine } from "./native.js";

export type { Gpu } from "./native.js";

export type Device = "cpu" | `cuda:${number}`;

/** Where typed arrays lie, and where tensors are made if nothing else is said. */
export const defaultDevice: Device = "cpu";

/** How a device is written: `auto` is the first GPU where there is one, else the processor. */
export const devicePattern = /^(auto|cpu|cuda(:\d{1,2})?)$/;
export const deviceForms = "cpu, cuda, cuda:N or auto";

/** True when libtorch was built with CUDA and finds a GPU. */
export function hasCuda(): boolean {
  return loadEngine().information().cuda;
}

/** The GPUs that libtorch can use, in its order; `cuda:N` is the one at index N. */
export function gpus(): readonly Gpu[] {
  return guarded("devices", () => loadEngine().devices());
}

/** Waits until everything that was queued on a device is done: before a clock is read. */
export function synchronize(device: Device): void {
  if (device !== "cpu") guarded("synchronize", () => loadEngine().synchronize(device));
}

/** How many devices of each kind libtorch has here. Tests hand in their own. */
export type DeviceTable = Readonly<Record<"cpu" | "cuda", () => number>>;
const libtorchs: DeviceTable = { cpu: () => 1, cuda: () => (hasCuda() ? Math.max(1, gpus().length) : 0) };

/**
 * Reads `cpu`, `cuda` (the first one), `cuda:N`, or `auto`, which stays as it is: `requireDevice` decides.
 * @throws FilterBasisError `usage`
 */
export function parseDevice(text: string): Device | "auto" {
  if (!devicePattern.test(text))
    throw new FilterBasisError("usage", "this is not a device", { expected: deviceForms, got: JSON.stringify(text) });
  if (text === "cpu" || text === "auto") return text;
  return `cuda:${Number(text.split(":")[1] ?? 0)}`;
}

/**
 * The device that a text names, if it is here.
 * @throws FilterBasisError `usage`, `unsupported`
 */
export function requireDevice(text: string, table: DeviceTable = libtorchs): Device {
  const asked = parseDevice(text);
  if (asked === "cpu") return asked;
  const count = table.cuda();
  if (asked === "auto") return count > 0 ? "cuda:0" : "cpu";
  if (Number(asked.slice(5)) < count) return asked;
  const fewer = count > 0;
  throw new FilterBasisError("unsupported", fewer ? "there is no such GPU" : "libtorch has no cuda device here", {
    ...(fewer && { expected: count === 1 ? "cuda:0" : `cuda:0 to cuda:${count - 1}` }),
    got: asked,
    cures: fewer
      ? ["name one that is there (filterbasis doctor lists them)", "CUDA_VISIBLE_DEVICES hides the others"]
      : [
          "run on the processor: --device cpu",
          "use a libtorch that was built with CUDA: filterbasis setup --libtorch /path",
          "nvidia-smi says whether the driver sees the GPU",
        ],
  });
}
