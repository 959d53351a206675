// Devices as values: how one is written, and whether it is here. It goes from a recipe or `--device` to everything
// that makes a tensor.
import { FilterBasisError } from "../errors/error.js";
import { loadEngine } from "./native.js";

export type Device = "cpu" | `cuda:${number}`;

/** Where typed arrays lie, and where tensors are made if nothing else is said. */
export const defaultDevice: Device = "cpu";

/** True when libtorch was built with CUDA and finds a GPU. */
export function hasCuda(): boolean {
  return loadEngine().information().cuda;
}

/** What may stand before a colon, and whether libtorch has such devices here. Tests hand in their own. */
export type DeviceTable = Readonly<Record<"cpu" | "cuda", () => boolean>>;
const libtorchs: DeviceTable = { cpu: () => true, cuda: hasCuda };

/**
 * Reads `cpu`, `cuda` (the first one) or `cuda:N`.
 * @throws FilterBasisError `usage`
 */
export function parseDevice(text: string): Device {
  const [, kind, index = "0"] = /^(cpu|cuda)(?::(\d{1,2}))?$/.exec(text) ?? [];
  if (kind === "cuda") return `cuda:${Number(index)}`;
  if (text === "cpu") return text;
  throw new FilterBasisError("usage", "this is not a device", {
    expected: "cpu, cuda or cuda:N",
    got: JSON.stringify(text),
  });
}

/**
 * The device that a text names, if it is here.
 * @throws FilterBasisError `usage`, `unsupported`
 */
export function requireDevice(text: string, table: DeviceTable = libtorchs): Device {
  const device = parseDevice(text);
  const kind = device === "cpu" ? device : "cuda";
  if (table[kind]()) return device;
  throw new FilterBasisError("unsupported", `libtorch has no ${kind} device here`, {
    got: device,
    cures: [
      "run on the processor: --device cpu",
      "use a libtorch that was built with CUDA: filterbasis setup --libtorch /path",
    ],
  });
}
