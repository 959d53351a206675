// The paper's Figure 4: a whole image, and beside it the same piece of it as each network makes it, enlarged, with
// captions.
import { glyphHeight, isInk, textWidth } from "./pixel-font.js";

/** 8-bit RGB, row by row. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

export interface Panel {
  /** One line each: capitals, digits, a few signs. */
  readonly caption: readonly string[];
  readonly image: RgbImage;
}

export interface Piece {
  readonly x: number;
  readonly y: number;
  readonly size: number;
}

const gap = 12;
const lineHeight = 2 * glyphHeight + 6;
const paper = [255, 255, 255] as const;
const ink = [20, 20, 20] as const;
const mark = [230, 40, 40] as const;

/**
 * Draws the figure. Every panel's image has the size of `whole`; the piece is shown `zoom` times enlarged by repeating
 * pixels, so that nothing is smoothed. The whole image is reduced to the panels' height by averaging and shows where
 * the piece was taken.
 */
export function sideBySide(whole: Panel, panels: readonly Panel[], piece: Piece, zoom: number): RgbImage {
  const side = piece.size * zoom;
  const wholeWidth = Math.max(1, Math.round((whole.image.width * side) / whole.image.height));
  const lines = Math.max(whole.caption.length, ...panels.map(({ caption }) => caption.length));
  const figure: RgbImage = blank(
    wholeWidth + panels.length * (side + gap) + 2 * gap,
    side + 2 * gap + lines * lineHeight,
  );
  const share = side / whole.image.height;
  draw(figure, gap, gap, wholeWidth, side, (x, y) => average(whole.image, x / share, y / share, 1 / share));
  const [left, top, width] = [gap + piece.x * share, gap + piece.y * share, piece.size * share].map(Math.round) as [
    number,
    number,
    number,
  ];
  draw(figure, left, top, width, width, (x, y) =>
    Math.min(x, y, width - 1 - x, width - 1 - y) < 2 ? mark : undefined,
  );
  write(figure, whole.caption, gap, gap + side, wholeWidth);
  for (const [index, { caption, image }] of panels.entries()) {
    const at = gap + wholeWidth + gap + index * (side + gap);
    draw(figure, at, gap, side, side, (x, y) =>
      pixel(image, piece.x + Math.floor(x / zoom), piece.y + Math.floor(y / zoom)),
    );
    write(figure, caption, at, gap + side, side);
  }
  return figure;
}

/**
 * The piece in which `better` comes nearest to the truth where `worse` does not: where the sum of squared errors
 * differs most. Only pieces on a grid of a quarter of the size are looked at.
 */
export function tellingPiece(truth: RgbImage, worse: RgbImage, better: RgbImage, size: number): Piece {
  const side = Math.min(size, truth.width, truth.height);
  const step = Math.max(1, Math.floor(side / 4));
  let best: Piece = { x: 0, y: 0, size: side };
  let most = Number.NEGATIVE_INFINITY;
  for (let y = 0; y + side <= truth.height; y += step) {
    for (let x = 0; x + side <= truth.width; x += step) {
      const gain = errorIn(truth, worse, x, y, side) - errorIn(truth, better, x, y, side);
      if (gain > most) {
        most = gain;
        best = { x, y, size: side };
      }
    }
  }
  return best;
}

function errorIn(a: RgbImage, b: RgbImage, left: number, top: number, side: number): number {
  let sum = 0;
  for (let y = top; y < top + side; y++) {
    const row = 3 * y * a.width;
    for (let i = row + 3 * left; i < row + 3 * (left + side); i++) sum += (a.data[i]! - b.data[i]!) ** 2;
  }
  return sum;
}

type Colour = readonly [number, number, number];

function blank(width: number, height: number): RgbImage {
  return { width, height, data: new Uint8Array(3 * width * height).fill(paper[0]) };
}

/** Where `colour` gives nothing, what was there stays. */
function draw(
  figure: RgbImage,
  left: number,
  top: number,
  width: number,
  height: number,
  colour: (x: number, y: number) => Colour | undefined,
): void {
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const value = colour(x, y);
      if (value !== undefined) figure.data.set(value, 3 * ((top + y) * figure.width + left + x));
    }
  }
}

/** Centred lines, every pixel of the font two by two. */
function write(figure: RgbImage, caption: readonly string[], left: number, below: number, width: number): void {
  for (const [line, text] of caption.entries()) {
    const fits = text.slice(0, Math.floor((width / 2 + 1) / 6));
    const across = 2 * textWidth(fits);
    const from = left + Math.max(0, Math.floor((width - across) / 2));
    draw(figure, from, below + 8 + line * lineHeight, across, 2 * glyphHeight, (x, y) =>
      isInk(fits, x >> 1, y >> 1) ? ink : undefined,
    );
  }
}

function pixel({ width, data }: RgbImage, x: number, y: number): Colour {
  const at = 3 * (y * width + x);
  return [data[at]!, data[at + 1]!, data[at + 2]!];
}

/** The mean of the pixels of a square whose corner and side are given in pixels of the image. */
function average(image: RgbImage, x: number, y: number, side: number): Colour {
  const [right, bottom] = [
    Math.min(image.width, Math.max(x + side, x + 1)),
    Math.min(image.height, Math.max(y + side, y + 1)),
  ];
  const sum = [0, 0, 0];
  let count = 0;
  for (let v = Math.floor(y); v < bottom; v++) {
    for (let u = Math.floor(x); u < right; u++) {
      const colour = pixel(image, u, v);
      for (let c = 0; c < 3; c++) sum[c]! += colour[c]!;
      count++;
    }
  }
  return sum.map((value) => Math.round(value / count)) as unknown as Colour;
}
