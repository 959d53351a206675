// Captions inside pictures without any font of the system's: capitals, digits and a few signs, 5 x 7 pixels.

/** Seven rows of a glyph, top first; bit 4 is the leftmost pixel. */
const glyphs: Readonly<Record<string, string>> = {
  A: "0E11111F111111",
  B: "1E11111E11111E",
  C: "0E11101010110E",
  D: "1E11111111111E",
  E: "1F10101E10101F",
  F: "1F10101E101010",
  G: "0E11101711110E",
  H: "1111111F111111",
  I: "0E04040404040E",
  J: "0702020202120C",
  K: "11121418141211",
  L: "1010101010101F",
  M: "111B1515111111",
  N: "11191513111111",
  O: "0E11111111110E",
  P: "1E11111E101010",
  Q: "0E11111115120D",
  R: "1E11111E141211",
  S: "0F10100E01011E",
  T: "1F040404040404",
  U: "1111111111110E",
  V: "11111111110A04",
  W: "1111111515150A",
  X: "11110A040A1111",
  Y: "11110A04040404",
  Z: "1F01020408101F",
  0: "0E11131519110E",
  1: "040C040404040E",
  2: "0E11010204081F",
  3: "1F02040201110E",
  4: "02060A121F0202",
  5: "1F101E0101110E",
  6: "0608101E11110E",
  7: "1F010204080808",
  8: "0E11110E11110E",
  9: "0E11110F01020C",
  ".": "00000000000C0C",
  ",": "000000000C0408",
  ":": "000C0C000C0C00",
  "-": "0000001F000000",
  "/": "00010204081000",
  "%": "18190204081303",
  "(": "02040808080402",
  ")": "08040202020408",
};

export const glyphWidth = 5;
export const glyphHeight = 7;

/**
 * Whether the pixel of a caption is ink; letters become capitals, what the font lacks stays blank. One column lies
 * between two glyphs.
 */
export function isInk(text: string, x: number, y: number): boolean {
  const [place, column] = [Math.floor(x / (glyphWidth + 1)), x % (glyphWidth + 1)];
  const rows = glyphs[text[place]?.toUpperCase() ?? ""];
  if (rows === undefined || column >= glyphWidth || y < 0 || y >= glyphHeight) return false;
  return ((Number.parseInt(rows.slice(2 * y, 2 * y + 2), 16) >> (glyphWidth - 1 - column)) & 1) === 1;
}

/** Pixels across. */
export function textWidth(text: string): number {
  return Math.max(0, text.length * (glyphWidth + 1) - 1);
}
