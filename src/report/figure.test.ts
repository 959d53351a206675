// Figure 4: where its piece comes from, where panels lie, and that captions are ink.
import { expect, test } from "vitest";
import { type RgbImage, sideBySide, tellingPiece } from "./figure.js";
import { isInk, textWidth } from "./pixel-font.js";

function image(
  width: number,
  height: number,
  colour: (x: number, y: number) => readonly [number, number, number],
): RgbImage {
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) data.set(colour(x, y), 3 * (y * width + x));
  return { width, height, data };
}

const at = ({ width, data }: RgbImage, x: number, y: number) => [
  ...data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3),
];

test("the telling piece is where the better image is right and the worse one is not", () => {
  const truth = image(64, 48, () => [100, 100, 100]);
  const inside = (x: number, y: number) => x >= 32 && x < 48 && y >= 16 && y < 32;
  const worse = image(64, 48, (x, y) => (inside(x, y) ? [0, 0, 0] : [100, 100, 100]));
  // Elsewhere the better one is worse: that must not draw the piece.
  const better = image(64, 48, (x, y) => (inside(x, y) ? [100, 100, 100] : [140, 100, 100]));
  expect(tellingPiece(truth, worse, better, 16)).toEqual({ x: 32, y: 16, size: 16 });
  expect(
    tellingPiece(
      image(10, 6, () => [0, 0, 0]),
      image(10, 6, () => [0, 0, 0]),
      image(10, 6, () => [0, 0, 0]),
      16,
    ).size,
  ).toBe(6);
});

test("panels show the piece enlarged without smoothing, in order", () => {
  const whole = image(20, 10, (x, y) => [10 * x, 20 * y, 7]);
  const red = image(20, 10, () => [255, 0, 0]);
  const piece = { x: 4, y: 2, size: 4 };
  const figure = sideBySide(
    { caption: ["a"], image: whole },
    [whole, red].map((one) => ({ caption: ["b", "1.5"], image: one })),
    piece,
    5,
  );
  const gap = 12;
  const side = 20; // 4 x 5
  const wholeWidth = 40; // the whole image at the panels' height
  expect(figure.width).toBe(gap + wholeWidth + 2 * (gap + side) + gap);
  const left = gap + wholeWidth + gap;
  expect(at(figure, left, gap)).toEqual([40, 40, 7]);
  expect(at(figure, left + 4, gap + 4)).toEqual([40, 40, 7]);
  expect(at(figure, left + 5, gap + 5)).toEqual([50, 60, 7]);
  expect(at(figure, left + side + gap + 7, gap + 13)).toEqual([255, 0, 0]);
  expect(at(figure, gap + 2 * piece.x, gap + 2 * piece.y)).toEqual([230, 40, 40]); // the mark of the piece
});

test("captions: what the font has is ink, what it lacks is blank", () => {
  const ink = (text: string) => {
    let count = 0;
    for (let y = 0; y < 7; y++) for (let x = 0; x < textWidth(text); x++) if (isInk(text, x, y)) count++;
    return count;
  };
  expect(ink("I")).toBe(11);
  expect(ink("i")).toBe(ink("I"));
  expect(ink("II")).toBe(22);
  expect(ink("~")).toBe(0);
  expect(textWidth("")).toBe(0);
});
