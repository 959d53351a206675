// A device that is not there: an engine that computes on the processor, remembers on which device each tensor would
// lie, and refuses to
// mix them as CUDA does. A tensor that is made without being told where to lie is thereby found at its first use.
import type { Handle, NativeEngine, NativeResult, OperatorHandle } from "../src/torch/native.js";

const device = /^cuda:\d+$/;

/** What a GPU says of itself, and its switches. */
const settingsOf = (engine: NativeEngine) => ({
  devices: () => [0, 1].map((i) => ({ name: `fake ${i}`, driver: "0.0", memoryBytes: 1, freeBytes: 1 })),
  synchronize: () => undefined,
  autocast: (name: string, dtype: string | null) => engine.autocast(device.test(name) ? "cpu" : name, dtype),
  setSwitch: (name: string, on: boolean) => (/cudnn|tf32/.test(name) ? undefined : engine.setSwitch(name, on)),
});

/** The engine with `cuda` devices. */
export function withFakeDevices(engine: NativeEngine): NativeEngine {
  const places = new WeakMap<object, string>();
  const names = new WeakMap<OperatorHandle, string>();
  const isHandle = (value: unknown): value is Handle =>
    typeof value === "object" && value !== null && places.has(value);

  /** The arguments with every fake device as the real one; and where the result belongs. */
  function placed(operator: OperatorHandle, args: readonly unknown[]): { real: unknown[]; place: string } {
    const found = new Set<string>();
    let asked: string | undefined;
    const visit = (value: unknown): unknown => {
      if (typeof value === "string" && device.test(value)) {
        asked = value;
        return "cpu";
      }
      if (value === "cpu") asked = value;
      if (isHandle(value)) found.add(places.get(value)!);
      else if (Array.isArray(value)) return value.map(visit);
      else if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype)
        return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, visit(one)]));
      return value;
    };
    const real = args.map(visit);
    if (found.size > 1) throw new Error(`${names.get(operator)}: tensors on ${[...found].join(" and ")}`);
    return { real, place: asked ?? [...found][0] ?? "cpu" };
  }
  const put = (result: NativeResult, place: string): NativeResult => {
    if (Array.isArray(result)) for (const one of result) put(one as NativeResult, place);
    else if (typeof result === "object" && result !== null && !places.has(result)) places.set(result, place);
    return result;
  };
  const made = (handle: Handle, place: string): Handle => {
    places.set(handle, place);
    return handle;
  };

  return {
    ...engine,
    find(name, overload) {
      const operator = engine.find(name, overload);
      names.set(operator, [name, overload].filter(Boolean).join("."));
      return operator;
    },
    call(operator, out, ...args) {
      const { real, place } = placed(operator, args);
      places.delete(out);
      const result = engine.call(operator, out, ...real);
      if (result === undefined) places.set(out, place);
      return put(result, place);
    },
    device: (tensor) => places.get(tensor) ?? engine.device(tensor),
    fromTypedArray: (data, shape, dtype, place = "cpu") => made(engine.fromTypedArray(data, shape, dtype), place),
    ...settingsOf(engine),
    getGradient(tensor) {
      const gradient = engine.getGradient(tensor);
      return gradient === null ? null : made(gradient, places.get(tensor)!);
    },
    generatorState: (name) =>
      made(engine.generatorState(name === undefined || device.test(name) ? undefined : name), "cpu"),
    setGeneratorState: (state) => engine.setGeneratorState(state),
    information: () => ({ ...engine.information(), cuda: true }),
  };
}
