// The page: what the visitor does, step by step. All that computes is in the worker.
import { lossNames } from "../src/cli/loss-text.js";
import type { NamedFile, Opened, PageDevice, Planned } from "./protocol.js";
import { Client, Declined } from "./ui/client.js";
import { drawComparison } from "./ui/compare-view.js";
import { drawCurve } from "./ui/curve.js";
import { offerDevices } from "./ui/device.js";
import { byId, bytes, el, milliseconds, percent, setText, short, show } from "./ui/dom.js";
import { examplePictures, examples, fetched } from "./ui/examples.js";
import { showFailure } from "./ui/failure.js";
import { layerTables } from "./ui/layer-tables.js";
import { keepForOffline } from "./ui/offline.js";
import { beginProgress, endProgress, progress } from "./ui/progress.js";
import { offerModel, offerReport, showNumbers } from "./ui/take-away.js";

interface Page {
  model?: { readonly model: NamedFile; readonly beside: readonly NamedFile[] };
  opened?: Opened;
  pictures: readonly NamedFile[];
  planned?: Planned;
  point: number;
}

const page: Page = { pictures: [], point: 0 };
const client = new Client({ progress, note: (text) => setText("status", text) });
const tables = layerTables();
const controls = ["faster", "measure", "compress", "report"].map((id) => byId<HTMLButtonElement>(id));

/** Runs one step of the visitor's; what fails is shown in place. */
async function step(work: () => Promise<void>): Promise<void> {
  showFailure(undefined);
  beginProgress();
  for (const one of controls) one.disabled = true;
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Declined)) throw error;
    if (error.failure.code !== "interrupted") showFailure(error.failure);
    setText("status", error.failure.problem);
  } finally {
    endProgress();
    for (const one of controls) one.disabled = false;
  }
}

async function open(model: NamedFile, beside: readonly NamedFile[] = []): Promise<void> {
  for (const id of ["opened", "plan", "curve", "result", "take"]) show(id, false);
  delete page.planned;
  await step(async () => {
    const opened = await client.ask("open", { model, beside });
    page.model = { model, beside };
    page.opened = opened;
    const { name, layers, parameters, macs, inputs, guessed } = opened;
    setText(
      "opened-text",
      `${name}: ${bytes(opened.bytes)}, ${layers.length} layers, ${short(parameters)} parameters, ${short(macs)} MACs at ${inputs}${guessed ? " (sizes found by trying)" : ""}.`,
    );
    const able = layers.filter(({ reason }) => reason === undefined).length;
    setText("layers-count", `${able} of ${layers.length} can be replaced`);
    tables.opened(opened);
    setText("memory", `Takes about ${bytes(opened.memory)} of memory while it works.`);
    for (const id of ["opened", "plan"]) show(id);
    setText("status", `${name} is open`);
    showPictures();
  });
}

async function plan(): Promise<void> {
  show("curve", false);
  delete page.planned;
  const pictures = page.pictures.length > 0 ? page.pictures : await examplePictures();
  page.planned = await client.ask("plan", { pictures });
  page.pictures = pictures;
  showPictures();
  byId<HTMLInputElement>("point").max = String(page.planned.points.length - 1);
  show("curve");
  setPoint(0);
  tables.timed(page.planned);
}

function setPoint(point: number): void {
  const { points, milliseconds: whole } = page.planned!;
  page.point = point;
  byId<HTMLInputElement>("point").value = String(point);
  const { speedup, milliseconds: expected, loss, layers } = points[point]!;
  const replaced = layers.filter(({ became }) => became !== "as it is").length;
  const text = `${milliseconds(whole)} before, ${milliseconds(expected)} expected: ${speedup.toFixed(2)} x as fast, ${replaced} of ${layers.length} layers replaced; they lose ${percent(1 - Math.exp(-loss))} of their outputs together.`;
  setText("point-text", text);
  byId("point").setAttribute("aria-valuetext", `${speedup.toFixed(2)} times as fast`);
  drawCurve(byId("chart"), points, point);
  tables.planned(layers);
}

async function compress(point?: number): Promise<void> {
  for (const id of ["result", "take"]) show(id, false);
  const made = await client.ask("compress", point === undefined ? {} : { point });
  const { milliseconds: times, loss } = made;
  setText("headline", `${times.ratio.toFixed(2)} x as fast on this device`);
  showNumbers(made, lossNames[loss.kind]);
  tables.planned(made.layers);
  const { points } = page.planned!;
  const nearest = points.reduce(
    (best, { speedup }, i) =>
      Math.abs(speedup - times.ratio) < Math.abs(points[best]!.speedup - times.ratio) ? i : best,
    0,
  );
  if (point === undefined) drawCurve(byId("chart"), points, nearest);
  offerModel(made, page.model!.model.name, point !== undefined);
  for (const id of ["result", "take"]) show(id);
  await compare(page.pictures.at(-1)!);
}

async function compare(picture: NamedFile): Promise<void> {
  const compared = await client.ask("compare", { picture });
  await drawComparison(byId("comparison"), compared);
  setText("own-text", picture.name);
  setText("status", "done");
  document.dispatchEvent(new CustomEvent("compared", { detail: compared }));
}

/** After the worker was ended: a new one opens the same network, so that one can begin again. */
function beginAgain(): void {
  show("curve", false);
  delete page.planned;
  if (page.model !== undefined) void client.ask("open", page.model).catch(() => undefined);
}

function cancel(): void {
  client.stop();
  beginAgain();
}

/** The same network on another device; what was made for the one before stays to be taken away. */
function useDevice(device: PageDevice): void {
  client.use(device);
  beginAgain();
}

function showPictures(): void {
  const { pictures } = page;
  const own = pictures.length > 0;
  setText(
    "pictures-text",
    own ? `${pictures.length} pictures: ${namesOf(pictures)}` : "without any, eight example photographs are taken",
  );
}

function namesOf(pictures: readonly NamedFile[]): string {
  const shown = pictures.slice(0, 3).map(({ name }) => name);
  return shown.join(", ") + (pictures.length > shown.length ? ", ..." : "");
}

const named = (files: Iterable<File>): NamedFile[] => [...files].map((file) => ({ name: file.name, file }));

/** One file is the model; with several, the one that ends in .onnx, and the others lie beside it. */
function openFiles(files: readonly NamedFile[]): void {
  const model = files.find(({ name }) => /\.onnx$/i.test(name)) ?? files[0];
  if (model !== undefined)
    void open(
      model,
      files.filter((one) => one !== model),
    );
}

function listenToFiles(): void {
  const drop = byId("drop");
  for (const name of ["dragover", "dragleave", "drop"] as const)
    document.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      if (name === "drop" && event.dataTransfer) openFiles(named(event.dataTransfer.files));
    });
  const chosen = (id: string, take: (files: readonly NamedFile[]) => void): void => {
    const input = byId<HTMLInputElement>(id);
    input.addEventListener("change", () => {
      const files = named(input.files ?? []);
      input.value = "";
      if (files.length > 0) take(files);
    });
  };
  chosen("model", openFiles);
  chosen("pictures", (files) => {
    page.pictures = files;
    delete page.planned;
    show("curve", false);
    showPictures();
  });
  chosen("own", ([picture]) => void step(() => compare(picture!)));
}

function listenToButtons(): void {
  for (const { name, title } of examples) {
    const button = el("button", { type: "button", class: "plain" }, title);
    button.addEventListener("click", () => void fetched(`weights/${name}`).then((model) => open(model)));
    byId("examples").append(button);
  }
  byId("faster").addEventListener(
    "click",
    () =>
      void step(async () => {
        if (page.planned === undefined) await plan();
        await compress();
      }),
  );
  byId("measure").addEventListener("click", () => void step(plan));
  byId("compress").addEventListener("click", () => void step(() => compress(page.point)));
  byId("report").addEventListener("click", () => void step(() => offerReport(client)));
  byId("cancel").addEventListener("click", cancel);
  byId<HTMLInputElement>("point").addEventListener("input", ({ target }) =>
    setPoint(Number((target as HTMLInputElement).value)),
  );
  byId<HTMLInputElement>("search").addEventListener("input", ({ target }) =>
    tables.search((target as HTMLInputElement).value),
  );
}

listenToFiles();
listenToButtons();
void offerDevices(useDevice);
void keepForOffline();
