// The bar: what is being done, how far it is, and how long the step still takes.
import { byId, setText, show } from "./dom.js";

const words: Readonly<Record<string, string>> = {
  opening: "Opening the network",
  moments: "Looking at what layers see on the pictures",
  candidates: "Trying what each layer can become",
  "timing layers": "Timing layers on this device",
  "timing the plan": "Timing the chosen layers",
  "timing the network": "Timing the whole network",
  factors: "Computing the new filters",
  refit: "Adjusting the filters to each other",
  comparing: "Comparing with the original",
};

/** Before so many milliseconds of a step nothing is said of how long it takes. */
const patience = 1500;
let label = "";
let begun = 0;

export function beginProgress(): void {
  label = "";
  setText("progress-label", "Beginning");
  setText("progress-left", "");
  byId<HTMLProgressElement>("bar").removeAttribute("value");
  show("progress");
}

export const endProgress = (): void => show("progress", false);

export function progress(what: string, done: number, total: number): void {
  if (what !== label) {
    label = what;
    begun = performance.now();
    setText("progress-label", words[what] ?? what);
  }
  const bar = byId<HTMLProgressElement>("bar");
  const share = total > 0 ? Math.min(1, done / total) : 0;
  if (done === 0) bar.removeAttribute("value");
  else bar.value = share;
  const passed = performance.now() - begun;
  const left = share > 0 ? (passed / share) * (1 - share) : 0;
  setText("progress-left", passed > patience && left > 1000 ? `about ${Math.ceil(left / 1000)} s left` : "");
}
