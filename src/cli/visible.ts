// Text from models, files and folders as it may be shown on a terminal: nothing in a name can move the cursor,
// hide text or forge a line.

/**
 * Controls, format characters (bidirectional marks, zero-width spaces), separators of lines, halves of surrogate
 * pairs.
 */
const hidden = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** The text with every character that cannot be seen written as its code; lines stay lines. */
export function visible(text: string): string {
  return text.replace(hidden, (character) => (character === "\n" ? character : escaped(character)));
}

/** The same for text that belongs on one line, such as a name or a cell of a table. */
export function oneLine(text: string): string {
  return text.replace(hidden, escaped);
}

/**
 * Several lines of one message: those behind the first are set apart, so that none of them looks like a line of
 * its own.
 */
export function message(text: string): string {
  return visible(text).replaceAll("\n", "\n  | ");
}

/** Such characters inside JSON, where they can only stand in strings, as the escapes that JSON has for them. */
export function visibleJson(json: string): string {
  return json.replace(hidden, (character) =>
    character === "\n"
      ? character
      : Array.from({ length: character.length }, (_, at) => unit(character.charCodeAt(at))).join(""),
  );
}

const unit = (code: number): string => `\\u${code.toString(16).padStart(4, "0")}`;

function escaped(character: string): string {
  const short: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
  const code = character.codePointAt(0) ?? 0;
  return short[character] ?? (code > 0xffff ? `\\u{${code.toString(16)}}` : unit(code));
}
