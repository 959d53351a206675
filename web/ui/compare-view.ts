// Both networks' outputs beside each other: a slider over two enlargements, masks over the picture, two lists of
// classes, or numbers with a picture of the difference.
import type { ClassScore, Compared, Pixels } from "../protocol.js";
import { el, milliseconds, percent } from "./dom.js";

/** Canvases that are still to be filled. */
const blank: (() => void)[] = [];

/** The pictures follow one by one, so that the page answers in between. */
export async function drawComparison(place: HTMLElement, compared: Compared): Promise<void> {
  const { classes, original, written, kind } = compared;
  const parts: HTMLElement[] = [timesLine(compared)];
  if (original && written)
    parts.push(...(kind === "mask" ? masks(compared, original, written) : split(original, written)));
  if (classes) parts.push(lists(classes));
  parts.push(numbers(compared));
  if (compared.difference && kind !== "mask")
    parts.push(
      el(
        "div",
        { class: "pair" },
        figure("Difference, ten times as bright", compared.difference),
        figure("What goes in", compared.input),
      ),
    );
  place.replaceChildren(...parts);
  for (let fill = blank.shift(); fill !== undefined; fill = blank.shift()) {
    await new Promise((resolve) => setTimeout(resolve));
    fill();
  }
}

function timesLine({ milliseconds: { original, written } }: Compared): HTMLElement {
  const ratio = (original / written).toFixed(2);
  return el(
    "p",
    { id: "own-times" },
    `On this picture, in turns: ${milliseconds(original)} before, ${milliseconds(written)} now: ${ratio} x as fast.`,
  );
}

function canvasOf({ width, height, rgba }: Pixels, label: string): HTMLCanvasElement {
  const canvas = el("canvas", { role: "img", "aria-label": label });
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(rgba as Uint8ClampedArray<ArrayBuffer>, width, height);
  blank.push(() => canvas.getContext("2d")!.putImageData(image, 0, 0));
  return canvas;
}

const figure = (caption: string, pixels: Pixels): HTMLElement =>
  el("figure", {}, canvasOf(pixels, caption), el("figcaption", { class: "soft" }, caption));

/** The original left of the edge, the compressed network right of it. */
function split(original: Pixels, written: Pixels): readonly HTMLElement[] {
  const above = canvasOf(original, "the original network's output");
  above.classList.add("above");
  const edge = el("div", { class: "edge" });
  const stack = el("div", { class: "stack" }, canvasOf(written, "the compressed network's output"), above, edge);
  const slider = el("input", { type: "range", min: "0", max: "100", value: "50", id: "split" });
  const move = (): void => {
    above.style.clipPath = `inset(0 ${100 - Number(slider.value)}% 0 0)`;
    edge.style.left = `${slider.value}%`;
  };
  slider.addEventListener("input", move);
  const zoom = el(
    "select",
    { id: "zoom" },
    ...["100", "200", "400"].map((value) => el("option", { value }, `${value} %`)),
  );
  zoom.addEventListener("change", () => {
    stack.style.width = `${zoom.value}%`;
  });
  move();
  return [
    el("p", { class: "names soft" }, el("span", {}, "original"), el("span", {}, "compressed")),
    el(
      "div",
      { class: "split", tabindex: "0", role: "region", "aria-label": "Both outputs, one over the other" },
      stack,
    ),
    el("label", { for: "split" }, "How much of the original is shown"),
    slider,
    el("p", { class: "row" }, el("label", { for: "zoom" }, "Zoom"), zoom),
  ];
}

/** Each mask in red over the picture. */
function masks({ input }: Compared, original: Pixels, written: Pixels): readonly HTMLElement[] {
  const over = (mask: Pixels): Pixels => {
    const rgba = input.rgba.slice();
    for (let y = 0; y < input.height; y++)
      for (let x = 0; x < input.width; x++) {
        const [i, j] = [Math.floor((y * mask.height) / input.height), Math.floor((x * mask.width) / input.width)];
        const share = (0.6 * mask.rgba[4 * (i * mask.width + j)]!) / 255;
        const at = 4 * (y * input.width + x);
        for (const [c, red] of [255, 0, 60].entries()) rgba[at + c] = rgba[at + c]! * (1 - share) + red * share;
      }
    return { ...input, rgba };
  };
  return [
    el(
      "div",
      { class: "pair" },
      figure("The original's mask", over(original)),
      figure("The compressed network's mask", over(written)),
    ),
  ];
}

function lists({ original, written }: NonNullable<Compared["classes"]>): HTMLElement {
  const list = (title: string, scores: readonly ClassScore[]): HTMLElement =>
    el(
      "figure",
      {},
      el("figcaption", {}, title),
      el("ol", {}, ...scores.map(({ index, score }) => el("li", {}, `class ${index}: ${percent(score)}`))),
    );
  return el(
    "div",
    { class: "pair" },
    list("The original says", original),
    list("The compressed network says", written),
  );
}

function numbers({ relative, correlation, psnr, kind, loss }: Compared): HTMLElement {
  const said = [
    `relative error ${relative.toPrecision(3)}`,
    correlation === null ? "" : `correlation ${correlation.toFixed(4)}`,
    psnr === null ? "" : `${psnr.toFixed(1)} dB between both`,
    kind === "mask" ? `1 - IoU ${loss.toPrecision(3)}` : "",
  ].filter((text) => text !== "");
  return el("p", { id: "agreement" }, `Outputs of both on this picture: ${said.join(", ")}.`);
}
