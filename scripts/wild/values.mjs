// Seeded values for the inputs of a model of which nothing is known: the same on every machine.

/** mulberry32: uniform on [0, 1). */
function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function hash(text) {
  let value = 0x811c9dc5;
  for (const unit of text) value = Math.imul(value ^ unit.codePointAt(0), 0x01000193);
  return value >>> 0;
}

/** By kind of feed: a function that gives the value of element `index`; the last axis has `width` elements. */
const kinds = {
  unit: (next) => () => next(),
  normal: (next) => () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  /** As an image of 0..255: waves along the rows and from row to row, with a little noise. */
  image: (next, width) => (index) => {
    const [column, row] = [index % width, Math.floor(index / width)];
    return 127.5 + 70 * Math.sin(column / 9 + row / 31) + 40 * Math.sin(row / 13) + 16 * (next() - 0.5);
  },
};

const arrays = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
};

/**
 * The elements of one input. Integers are 0 or 1 (valid wherever an index or a flag is wanted).
 * @param {{ name: string, type: string, dims: number[] }} input
 */
export function valuesOf(input, kind, seed) {
  const { name, type, dims } = input;
  const count = dims.reduce((product, dim) => product * dim, 1);
  const next = uniform(seed ^ hash(`${name} ${kind}`));
  const real = kinds[kind](next, dims.at(-1) || 1);
  const make = (index) => (/^float/.test(type) ? real(index) : Math.floor(2 * next()));
  if (type === "string") return Array.from({ length: count }, () => "a");
  if (type === "bool") return Uint8Array.from({ length: count }, (_, index) => (make(index) ? 1 : 0));
  if (type === "int64" || type === "uint64")
    return (type === "int64" ? BigInt64Array : BigUint64Array).from({ length: count }, (_, index) =>
      BigInt(make(index)),
    );
  if (type === "float16") return Uint16Array.from({ length: count }, (_, index) => halfOf(make(index)));
  const Values = arrays[type];
  if (Values === undefined) throw new Error(`no values of type ${type}`);
  const values = new Values(count);
  for (let index = 0; index < count; index++) values[index] = make(index);
  return values;
}

const single = new Float32Array(1);
const bits = new Uint32Array(single.buffer);

/** The bits of the half-precision number below or at a value of ordinary size; smaller than 2^-14 becomes 0. */
function halfOf(value) {
  single[0] = value;
  const exponent = ((bits[0] >>> 23) & 255) - 112;
  const sign = (bits[0] >>> 16) & 0x8000;
  return exponent <= 0 ? sign : sign | (Math.min(exponent, 30) << 10) | ((bits[0] >>> 13) & 1023);
}

/** The number that half-precision bits stand for. */
export function halfToNumber(half) {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
