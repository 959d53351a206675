// Where the networks run: on the processor, or on the GPU where the browser has an adapter for one.
import type { PageDevice } from "../protocol.js";
import { threads } from "./client.js";
import { byId, el, setText, show } from "./dom.js";

const names: Readonly<Record<PageDevice, string>> = {
  wasm: `WebAssembly, ${threads === 1 ? "one thread" : `${threads} threads`}`,
  webgpu: "WebGPU",
};

/** The part of WebGPU that is asked here; TypeScript's own types have none of it. */
interface Gpu {
  requestAdapter(): Promise<object | null>;
}

/** Offers the GPU where there is one, and says where the networks run. */
export async function offerDevices(use: (device: PageDevice) => void): Promise<void> {
  setText("place", `Here: ${names.wasm}.`);
  const { gpu } = navigator as Navigator & { readonly gpu?: Gpu };
  const adapter = await gpu?.requestAdapter().catch(() => null);
  if (!adapter) return;
  const select = byId<HTMLSelectElement>("device");
  for (const [value, name] of Object.entries(names)) select.append(el("option", { value }, name));
  select.addEventListener("change", () => {
    const device = select.value as PageDevice;
    setText("place", `Here: ${names[device]}.`);
    use(device);
  });
  show("device-row");
}
