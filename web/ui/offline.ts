// The page without a connection: everything that it may need is asked for once, and kept by the service worker (sw.js).
import { examplePaths } from "./examples.js";

const runtime = ["ort/ort-wasm-simd-threaded.mjs", "ort/ort-wasm-simd-threaded.wasm"];

/** After the page is there; a browser that has no service workers, or refuses, works as ever with a connection. */
export async function keepForOffline(): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  try {
    await navigator.serviceWorker.register(new URL("sw.js", document.baseURI));
    const { active } = await navigator.serviceWorker.ready;
    const assets = (await (await fetch(new URL("assets.json", document.baseURI))).json()) as readonly string[];
    const paths = [".", ...assets.map((name) => `assets/${name}`), ...runtime, ...examplePaths];
    const own = paths.map((path) => new URL(path, document.baseURI).href);
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      document.documentElement.dataset.offline = "kept";
    };
    active?.postMessage(own, [port2]);
  } catch {
    // not here: nothing is lost but working without a connection
  }
}
