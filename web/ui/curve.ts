// Speed against loss as a small drawing; the numbers of a point stand beside the slider in words.
import type { PlanPoint } from "../protocol.js";

const space = "http://www.w3.org/2000/svg";
const [height, edge] = [180, 34] as const;

function svg(tag: string, attributes: Readonly<Record<string, string | number>>, text = ""): SVGElement {
  const made = document.createElementNS(space, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.textContent = text;
  return made;
}

export function drawCurve(place: HTMLElement, points: readonly PlanPoint[], chosen: number): void {
  // As wide as its place, so that letters are as large as everywhere.
  const width = Math.max(260, place.clientWidth);
  const fastest = Math.max(1.01, ...points.map(({ speedup }) => speedup));
  const most = Math.max(1e-9, ...points.map(({ loss }) => Math.sqrt(Math.max(0, loss))));
  const times = points.map(({ milliseconds }) => milliseconds);
  const [slowest, least] = [Math.max(...times), Math.min(...times)];
  const x = (milliseconds: number): number =>
    edge + ((slowest - milliseconds) / Math.max(1e-9, slowest - least)) * (width - 2 * edge);
  const y = (loss: number): number => height - edge - (Math.sqrt(Math.max(0, loss)) / most) * (height - 2 * edge);
  const line = points.map(({ milliseconds, loss }) => `${x(milliseconds).toFixed(1)},${y(loss).toFixed(1)}`).join(" ");
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  drawing.setAttribute("aria-label", `speed against loss: up to ${fastest.toFixed(2)} times as fast`);
  const soft = { stroke: "var(--line)", "stroke-width": 1 };
  drawing.append(
    svg("line", { x1: edge, y1: height - edge, x2: width - edge, y2: height - edge, ...soft }),
    svg("line", { x1: edge, y1: edge, x2: edge, y2: height - edge, ...soft }),
    svg("polyline", { points: line, fill: "none", stroke: "var(--accent)", "stroke-width": 2 }),
    ...points.map(({ milliseconds, loss }, i) =>
      svg("circle", { cx: x(milliseconds), cy: y(loss), r: i === chosen ? 7 : 3, fill: "var(--accent)" }),
    ),
    svg("text", { x: edge, y: height - 12 }, "as it is"),
    svg("text", { x: width - edge, y: height - 12, "text-anchor": "end" }, `${fastest.toFixed(2)} x as fast`),
    svg("text", { x: edge + 6, y: edge - 10 }, "loss of the layers"),
  );
  place.replaceChildren(drawing);
}
