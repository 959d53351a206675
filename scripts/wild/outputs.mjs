// How far the outputs of one model are from those of another, over several feeds: one entry an output.
import { halfToNumber } from "./values.mjs";

/** Elements as numbers; half precision comes as bits. */
const reader = ({ type, data }) =>
  type === "float16" ? (index) => halfToNumber(data[index]) : (index) => Number(data[index]);

/**
 * @param {Record<string, {type: string, dims: readonly number[], data: ArrayLike<unknown>}>[]} got outputs by feed
 * @param {typeof got} expected the same of the reference
 * @returns by output: `rms` (root mean square of the difference over that of the output), `max` (largest difference
 * over
 *   the largest value), `unequal` (share of elements that are not the same), and what else there is to say
 */
export function differenceOf(got, expected) {
  return Object.keys(expected[0] ?? {}).map((name) => {
    const sums = {
      difference: 0,
      square: 0,
      worst: 0,
      largest: 0,
      unequal: 0,
      count: 0,
      first: undefined,
      constant: true,
    };
    let fault;
    for (const [feed, outputs] of expected.entries()) {
      const [a, b] = [got[feed]?.[name], outputs[name]];
      if (a === undefined) fault ??= "it is missing";
      else if (a.type !== b.type) fault ??= `its type is ${a.type}, not ${b.type}`;
      else if (`${a.dims}` !== `${b.dims}`) fault ??= `its shape is ${a.dims.join("x")}, not ${b.dims.join("x")}`;
      else fault = addUp(a, b, sums) ?? fault;
    }
    const { type } = expected[0][name];
    const ratio = (above, below) => (above === 0 ? 0 : below === 0 ? Number.MAX_VALUE : above / below);
    return {
      name,
      type,
      rms: ratio(Math.sqrt(sums.difference), Math.sqrt(sums.square)),
      max: ratio(sums.worst, sums.largest),
      unequal: ratio(sums.unequal, sums.count),
      constant: sums.constant,
      ...(fault === undefined ? {} : { fault }),
    };
  });
}

function addUp(a, b, sums) {
  if (b.type === "string") {
    for (let index = 0; index < b.data.length; index++) if (a.data[index] !== b.data[index]) sums.unequal++;
    sums.count += b.data.length;
    return undefined;
  }
  const [left, right] = [reader(a), reader(b)];
  let fault;
  for (let index = 0; index < b.data.length; index++) {
    const [x, y] = [left(index), right(index)];
    sums.count++;
    sums.first ??= y;
    if (y !== sums.first) sums.constant = false;
    if (Object.is(x, y) || x === y) {
      if (Number.isFinite(y)) {
        sums.square += y * y;
        sums.largest = Math.max(sums.largest, Math.abs(y));
      }
      continue;
    }
    sums.unequal++;
    if (!Number.isFinite(x) || !Number.isFinite(y)) {
      fault ??= `${x} where the original has ${y}`;
      continue;
    }
    sums.difference += (x - y) ** 2;
    sums.square += y * y;
    sums.worst = Math.max(sums.worst, Math.abs(x - y));
    sums.largest = Math.max(sums.largest, Math.abs(y));
  }
  return fault;
}
