// What the visitor takes away: the file, the report, and how to do the same elsewhere.
import type { Picture } from "../../src/report/compression.js";
import type { Made } from "../protocol.js";
import type { Client } from "./client.js";
import { byId, bytes, el, milliseconds, setText, short } from "./dom.js";

export function showNumbers({ milliseconds: times, bytes: sizes, macs, weights, loss }: Made, lossName: string): void {
  const lost = loss.kind === "decibels" ? `${loss.mean.toFixed(3)} dB` : loss.mean.toPrecision(3);
  const rows: readonly (readonly [string, string])[] = [
    ["Milliseconds, in turns", `${milliseconds(times.original)} → ${milliseconds(times.written)}`],
    ["Bytes", `${bytes(sizes[0])} → ${bytes(sizes[1])}`],
    ["MACs", `${short(macs[0])} → ${short(macs[1])}`],
    ["Weights", `${short(weights[0])} → ${short(weights[1])}`],
    [`Loss (${lossName}), ${loss.images} pictures`, lost],
  ];
  byId("numbers").replaceChildren(...rows.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text))));
}

let address: string | undefined;

/** @param point whether a point of the curve was chosen; else it is the fastest that loses little */
export function offerModel(
  { file, model, verified, milliseconds: times }: Made,
  original: string,
  point: boolean,
): void {
  if (address !== undefined) URL.revokeObjectURL(address);
  address = URL.createObjectURL(new Blob([model as Uint8Array<ArrayBuffer>], { type: "application/octet-stream" }));
  const link = byId<HTMLAnchorElement>("download");
  link.href = address;
  link.download = file;
  setText(
    "verified",
    `Verified in this tab: the file was opened and run again; it is ${verified.toExponential(1)} of the largest output from what it should compute.`,
  );
  const speedup = point ? Math.max(1, Math.floor(100 * times.ratio) / 100) : undefined;
  const budget = speedup === undefined ? "" : ` --speedup ${speedup}`;
  setText(
    "command",
    `npx filterbasis compress ${quoted(original)} -o ${quoted(file)}${budget} --data PICTURES --runtime web`,
  );
  setText("snippet", snippet(original, file, speedup));
}

const quoted = (name: string): string => (/^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", `'\\''`)}'`);

const snippet = (original: string, file: string, speedup: number | undefined): string =>
  `import { calibrationData, compressOnData, findInputs, loadModel, openData } from "filterbasis"; // in Node

const [file, small] = [${JSON.stringify(original)}, ${JSON.stringify(file)}];
const graph = await loadModel(file);
const data = await calibrationData(graph, await openData("PICTURES"), await findInputs(graph));
const budget = { ${speedup === undefined ? "" : `speedup: ${speedup} `}};
await compressOnData({ graph, file }, small, data, { budget, runtime: "web" });`;

export async function offerReport(client: Client): Promise<void> {
  const data = await client.ask("report", { pictures: shownPictures() });
  // Its charts are a chunk of their own, loaded now.
  const { compressionPage } = await import("../../src/report/compression.js");
  const html = compressionPage(data, document);
  const link = el("a", { href: URL.createObjectURL(new Blob([html], { type: "text/html" })) });
  link.download = byId<HTMLAnchorElement>("download").download.replace(/\.onnx$/i, ".html");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** The pictures of the comparison as it is shown. */
function shownPictures(): readonly Picture[] {
  const panels = [...byId("comparison").querySelectorAll("canvas")].map((canvas) => ({
    label: canvas.getAttribute("aria-label") ?? "",
    url: canvas.toDataURL("image/png"),
  }));
  return panels.length === 0 ? [] : [{ caption: "One picture", panels }];
}
