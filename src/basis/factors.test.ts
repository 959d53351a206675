import { expect, test } from "vitest";
import { distance, randomMatrix, shapeOf } from "../../test/fit-cases.js";
import { type Matrix, matrix } from "../linalg/matrix.js";
import { Random } from "../linalg/random.js";
import { candidatesOf, roundedTo } from "./candidates.js";
import { composed } from "./composed.js";
import {
  type Candidate,
  type LayerShape,
  macsOf,
  makeFactors,
  type Pair,
  type Stage,
  stageShapes,
  weightsOf,
} from "./factors.js";
import { fullRanks } from "./full-ranks.js";
import { outputError } from "./output-error.js";

const candidates: readonly Candidate[] = [
  { family: "dense", ranks: [] },
  { family: "one-split", ranks: [3] },
  { family: "shared-bases", splits: 2, ranks: [3] },
  { family: "own-bases", splits: 3, ranks: [2] },
  { family: "tucker-2", ranks: [4, 3] },
  { family: "separable", ranks: [5] },
  { family: "separable-pointwise", ranks: [5, 3] },
  { family: "low-rank", ranks: [2] },
];
const shapes: readonly LayerShape[] = [
  shapeOf(5, 6),
  shapeOf(4, 6, [3, 3], [2, 2]),
  shapeOf(4, 6, [5, 3], [2, 1]),
  shapeOf(4, 6, [1, 1], [2, 2]),
  shapeOf(4, 6, [1, 5], [1, 2]),
];
const cases = shapes.flatMap((shape) =>
  candidates.map((candidate) => ({
    shape,
    candidate,
    label: `${candidate.family}, kernel ${shape.kernel.join(" x ")}, stride ${shape.stride.join(", ")}`,
  })),
);

/** Random weights; those of splits that share a basis are repeated. */
function randomFactors(candidate: Candidate, shape: LayerShape, random: Random) {
  const weights = stageShapes(candidate, shape).map(({ out, in: width, groups, kernel }, i) => {
    const values = randomMatrix(out, (width / groups) * kernel[0] * kernel[1], random).data;
    if (candidate.family === "shared-bases" && i === 0)
      for (let g = 1; g < groups; g++) values.copyWithin((g * values.length) / groups, 0, values.length / groups);
    return values;
  });
  return makeFactors(candidate, shape, weights);
}

interface Image {
  readonly channels: number;
  readonly size: Pair;
  readonly data: Float64Array;
}

/** A convolution by its definition; counts its multiplications, those with padding too. */
function convolve(image: Image, stage: Stage, padding: Pair, dilation: Pair): { image: Image; macs: number } {
  const [[h, w], [kh, kw]] = [image.size, stage.kernel];
  const length = (axis: 0 | 1) =>
    Math.floor(
      (image.size[axis] + 2 * padding[axis] - dilation[axis] * (stage.kernel[axis] - 1) - 1) / stage.stride[axis],
    ) + 1;
  const [oh, ow] = [length(0), length(1)];
  const [perGroup, outs] = [stage.in / stage.groups, stage.out / stage.groups];
  const data = new Float64Array(stage.out * oh * ow);
  let macs = 0;
  for (let o = 0; o < stage.out; o++)
    for (let y = 0; y < oh; y++)
      for (let x = 0; x < ow; x++)
        for (let i = 0; i < perGroup; i++)
          for (let a = 0; a < kh; a++)
            for (let b = 0; b < kw; b++) {
              macs++;
              const iy = y * stage.stride[0] + a * dilation[0] - padding[0];
              const ix = x * stage.stride[1] + b * dilation[1] - padding[1];
              if (iy < 0 || ix < 0 || iy >= h || ix >= w) continue;
              const channel = Math.floor(o / outs) * perGroup + i;
              data[(o * oh + y) * ow + x]! +=
                stage.weight[((o * perGroup + i) * kh + a) * kw + b]! * image.data[(channel * h + iy) * w + ix]!;
            }
  return { image: { channels: stage.out, size: [oh, ow], data }, macs };
}

test.each(cases)("the composed filters do what the stages do one after another: $label", ({ shape, candidate }) => {
  const random = new Random(3);
  const factors = randomFactors(candidate, shape, random);
  for (const dilation of [
    [1, 1],
    [2, 1],
    [2, 3],
  ] as const) {
    const padding: Pair = [dilation[0], 2];
    const input: Image = { channels: shape.c, size: [12, 14], data: randomMatrix(shape.c, 12 * 14, random).data };
    const dense: Stage = { ...stageShapes({ family: "dense", ranks: [] }, shape)[0]!, weight: composed(factors).data };
    const { image: expected } = convolve(input, dense, padding, dilation);
    let got = input;
    let macs = 0;
    for (const stage of factors.stages) {
      const own = (values: Pair, none: number): Pair => [
        stage.carries[0] ? values[0] : none,
        stage.carries[1] ? values[1] : none,
      ];
      const next = convolve(got, stage, own(padding, 0), own(dilation, 1));
      got = next.image;
      macs += next.macs;
    }
    expect(got.size).toEqual(expected.size);
    const asMatrix = ({ data }: Image): Matrix => matrix(1, data.length, data);
    expect(distance(asMatrix(expected), asMatrix(got))).toBeLessThan(1e-12);
    expect(macsOf(candidate, shape, expected.size, input.size)).toBe(macs);
  }
});

test.each(cases)(
  "weights are those of the stages, a basis that is shared counted once: $label",
  ({ shape, candidate }) => {
    const { stages } = randomFactors(candidate, shape, new Random(4));
    const distinct = new Set(stages.flatMap(({ weight }) => [...weight]));
    expect(weightsOf(candidate, shape)).toBe(distinct.size);
  },
);

test("without the input's size, what comes before a stride counts at the output's size times the stride", () => {
  const shape = shapeOf(4, 6, [3, 3], [2, 2]);
  for (const candidate of candidates)
    expect(macsOf(candidate, shape, [5, 7])).toBe(macsOf(candidate, shape, [5, 7], [10, 14]));
});

test("the output's error is the mean squared error of the outputs to their mean square", () => {
  const random = new Random(5);
  const inputs = randomMatrix(40, 6, random); // a patch a row
  const [original, replaced] = [randomMatrix(3, 6, random), randomMatrix(3, 6, random)];
  const covariance = matrix(6, 6);
  for (let k = 0; k < 40; k++)
    for (let i = 0; i < 6; i++)
      for (let j = 0; j < 6; j++)
        covariance.data[i * 6 + j]! += (inputs.data[k * 6 + i]! * inputs.data[k * 6 + j]!) / 40;
  const output = (filters: Matrix, o: number, k: number) =>
    filters.data.slice(o * 6, o * 6 + 6).reduce((sum, value, i) => sum + value * inputs.data[k * 6 + i]!, 0);
  let [lost, all] = [0, 0];
  for (let k = 0; k < 40; k++)
    for (let o = 0; o < 3; o++) {
      lost += (output(original, o, k) - output(replaced, o, k)) ** 2;
      all += output(original, o, k) ** 2;
    }
  expect(outputError(original, replaced, covariance)).toBeCloseTo(lost / all, 12);
  expect(outputError(original, original, covariance)).toBe(1e-12);
  expect(outputError(original, original, matrix(6, 6))).toBe(1e-12);
  expect(outputError(original, matrix(3, 6), covariance)).toBeCloseTo(1, 12);
});

test("candidates are cheaper than dense, no two alike, of whole ranks up to full rank, and near the fractions", () => {
  const layers = [
    shapeOf(16, 16),
    shapeOf(64, 3, [7, 7], [2, 2]),
    shapeOf(128, 64, [3, 3], [2, 2]),
    shapeOf(1, 8),
    shapeOf(10, 64, [1, 1]),
    shapeOf(24, 24, [1, 5]),
    shapeOf(1, 1),
  ];
  for (const shape of layers)
    for (const price of ["macs", "weights"] as const) {
      const cost = (candidate: Candidate) =>
        price === "macs" ? macsOf(candidate, shape, [1, 1]) : weightsOf(candidate, shape);
      const dense = cost({ family: "dense", ranks: [] });
      const found = candidatesOf(shape, { price });
      expect(new Set(found.map((candidate) => JSON.stringify(candidate))).size).toBe(found.length);
      for (const candidate of found) {
        expect(cost(candidate)).toBeLessThan(dense);
        for (const [i, most] of fullRanks(candidate, shape).entries())
          expect(candidate.ranks[i]).toBeLessThanOrEqual(most);
      }
    }
  const half = candidatesOf(shapeOf(64, 64), { fractions: [0.5] });
  for (const candidate of half)
    expect(macsOf(candidate, shapeOf(64, 64), [1, 1]) / (64 * 64 * 9)).toBeGreaterThan(0.45);
  expect(new Set(half.map(({ family }) => family)).size).toBe(6);
});

test("ranks are rounded to multiples, once for each multiple asked for", () => {
  const shape = shapeOf(64, 64);
  const rounded = candidatesOf(shape, { multiples: [16] });
  for (const { ranks } of rounded) for (const rank of ranks) expect(rank % (rank < 16 ? 4 : 16)).toBe(0);
  expect([1, 5, 11, 13, 23, 25, 40].map((rank) => roundedTo(16, rank))).toEqual([4, 4, 12, 16, 16, 32, 48]);
  expect([1, 5, 6, 13].map((rank) => roundedTo(8, rank))).toEqual([4, 4, 8, 16]);
  expect([1, 5, 13].map((rank) => roundedTo(1, rank))).toEqual([1, 5, 13]);
  const both = candidatesOf(shape, { multiples: [1, 16] });
  for (const candidate of [...rounded, ...candidatesOf(shape)]) expect(both).toContainEqual(candidate);
});

test("splits and ranks that a family does not have are refused", () => {
  const shape = shapeOf(4, 6);
  for (const candidate of [
    { family: "shared-bases", splits: 4, ranks: [1] },
    { family: "separable", splits: 2, ranks: [1] },
    { family: "separable", ranks: [] },
    { family: "tucker-2", ranks: [1] },
    { family: "one-split", ranks: [1.5] },
    { family: "dense", ranks: [1] },
  ] as const)
    expect(() => weightsOf(candidate, shape)).toThrow(expect.objectContaining({ code: "invalid-plan" }));
});
