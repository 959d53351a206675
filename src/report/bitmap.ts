// Small pictures of filters as data URLs, without any image library: 8-bit bitmaps with a palette from blue over white
// to red.

/** Values in rows, drawn one pixel each; grey lies between filters. */
export interface Mosaic {
  readonly width: number;
  readonly height: number;
  /** Indices into the palette, row by row. */
  readonly pixels: Uint8Array;
}

const gap = 255; // the palette's last entry separates filters

/**
 * Lays kernels out as a table: one row for each filter, one column for each of its channels, a pixel between them.
 * @param values [filters, channels, height, width], flattened
 * @param scale the value shown in full red; minus it is full blue, 0 white
 */
export function mosaic(
  values: ArrayLike<number>,
  [filters, channels, height, width]: readonly [number, number, number, number],
  scale: number,
): Mosaic {
  const across = channels * (width + 1) + 1;
  const down = filters * (height + 1) + 1;
  const pixels = new Uint8Array(across * down).fill(gap);
  for (let f = 0; f < filters; f++) {
    for (let c = 0; c < channels; c++) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const value = values[((f * channels + c) * height + y) * width + x] ?? 0;
          const share = scale > 0 ? Math.max(-1, Math.min(1, value / scale)) : 0;
          pixels[(1 + f * (height + 1) + y) * across + 1 + c * (width + 1) + x] = Math.round(127 + 127 * share);
        }
      }
    }
  }
  return { width: across, height: down, pixels };
}

/** The mosaic as `data:image/bmp;base64,...`, which every browser shows. */
export function bitmapUrl({ width, height, pixels }: Mosaic): string {
  const stride = (width + 3) & ~3; // rows are padded to four bytes
  const start = 14 + 40 + 256 * 4;
  const bytes = new Uint8Array(start + stride * height);
  const view = new DataView(bytes.buffer);
  bytes.set([0x42, 0x4d]); // "BM"
  view.setUint32(2, bytes.length, true);
  view.setUint32(10, start, true);
  view.setUint32(14, 40, true);
  view.setInt32(18, width, true);
  view.setInt32(22, height, true); // positive: rows from the bottom up
  view.setUint16(26, 1, true);
  view.setUint16(28, 8, true); // bits a pixel
  view.setUint32(46, 256, true); // colours
  for (let index = 0; index < 256; index++) bytes.set(color(index), 54 + 4 * index);
  for (let y = 0; y < height; y++)
    bytes.set(pixels.subarray(y * width, (y + 1) * width), start + (height - 1 - y) * stride);
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return `data:image/bmp;base64,${btoa(text)}`;
}

/**
 * Blue, green, red, 0 of a palette entry: blue (33, 102, 172) - white - red (178, 24, 43), after ColorBrewer's RdBu;
 * grey for the gap.
 */
function color(index: number): readonly [number, number, number, number] {
  if (index === gap) return [170, 170, 170, 0];
  const share = (index - 127) / 127;
  const [red, green, blue] = share < 0 ? [33, 102, 172] : [178, 24, 43];
  const mix = (part: number) => Math.round(250 + (part - 250) * Math.abs(share));
  return [mix(blue!), mix(green!), mix(red!), 0];
}
