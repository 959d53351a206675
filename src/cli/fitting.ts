// Text that has to fit: how wide it is on a terminal, shortened in the middle, wrapped between words.

const wide =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60]/u;
const narrow = /[\p{Mn}\p{Me}]/u;

/**
 * How many columns of a terminal a text takes: two for a Chinese character, none for an accent set on another
 * letter.
 */
export function displayWidth(text: string): number {
  let sum = 0;
  for (const character of text) sum += narrow.test(character) ? 0 : wide.test(character) ? 2 : 1;
  return sum;
}

/** At most `most` columns: what is left out is in the middle, for the ends of a name tell more. */
export function shortened(text: string, most: number): string {
  if (displayWidth(text) <= most) return text;
  if (most < 3) return "…".slice(0, Math.max(0, most));
  const characters = [...text];
  const head = taken(characters, Math.floor((most - 1) * 0.4));
  const tail = taken(characters.slice(head.length).reverse(), most - 1 - displayWidth(head.join("")));
  return `${head.join("")}…${tail.reverse().join("")}`;
}

/** As many of the characters, from the first on, as fit. */
function taken(characters: readonly string[], most: number): string[] {
  let width = 0;
  const end = characters.findIndex((character) => (width += displayWidth(character)) > most);
  return characters.slice(0, end < 0 ? characters.length : end);
}

/** The text as lines of at most `most` columns, broken between words; a longer word is cut into pieces. */
export function wrapped(text: string, most: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ").flatMap((whole) => pieces(whole, most))) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (displayWidth(longer) <= most) {
      line = longer;
      continue;
    }
    lines.push(line);
    line = word;
  }
  return [...lines, line];
}

function pieces(word: string, most: number): readonly string[] {
  if (displayWidth(word) <= most) return [word];
  const found: string[] = [];
  for (let rest = [...word]; rest.length > 0; ) {
    const piece = taken(rest, Math.max(2, most));
    found.push(piece.join(""));
    rest = rest.slice(piece.length);
  }
  return found;
}
