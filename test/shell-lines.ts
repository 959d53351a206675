// Shell lines in Markdown: where they stand, and what words a shell would make of them.

export interface ShellLine {
  /** The line of the page, from 1. */
  readonly line: number;
  /** The program and its words; `npx filterbasis` is `filterbasis`. */
  readonly words: readonly string[];
  /** It stands in a sentence. */
  readonly inline: boolean;
}

/** The words of one command as a shell has them; a comment is none. */
export function words(text: string): readonly string[] {
  const found: string[] = [];
  for (const [token] of text.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)) {
    if (token.startsWith("#")) break;
    found.push(token.replace(/'([^']*)'|"([^"]*)"/g, "$1$2"));
  }
  return found;
}

/** Every command of the indented and fenced blocks of a page. */
export function commandLines(page: string): readonly ShellLine[] {
  const lines: { line: number; text: string }[] = [];
  let fenced: string | undefined;
  let continued = false;
  for (const [at, text] of page.split("\n").entries()) {
    const fence = /^\s*```(\w*)/.exec(text);
    if (fence) fenced = fenced === undefined ? fence[1]! : undefined;
    else if (fenced === undefined ? /^ {4}\S|^ {5,}\S/.test(text) : ["", "sh", "bash", "shell"].includes(fenced)) {
      if (continued) lines.at(-1)!.text += text;
      else lines.push({ line: at + 1, text });
      continued = text.endsWith("\\");
      if (continued) lines.at(-1)!.text = lines.at(-1)!.text.slice(0, -1);
    }
  }
  return lines.flatMap(({ line, text }) => commandsOf(text, line, false));
}

/** Every command that a sentence of a page has as code. */
export function inlineCode(page: string): readonly ShellLine[] {
  return page
    .split("\n")
    .flatMap((text, at) =>
      /^ {4}/.test(text) ? [] : [...text.matchAll(/`([^`]+)`/g)].flatMap(([, code]) => commandsOf(code!, at + 1, true)),
    )
    .filter(({ words: [program] }) => program === "filterbasis" || program === "npm" || program === "npx");
}

const launchers = ["mpirun", "srun", "torchrun"];

function commandsOf(text: string, line: number, inline: boolean): readonly ShellLine[] {
  const commands: string[][] = [[]];
  let file = false;
  for (const word of words(text.replace(/^\s*\w+\$ /, ""))) {
    if (["&&", "|", "||", ";"].includes(word)) commands.push([]);
    else if (word === ">") file = true;
    else if (file) file = false;
    else commands.at(-1)!.push(word);
  }
  return commands.flatMap((all) => {
    let found = all.slice(all.findIndex((word) => !/^[A-Z_]+=/.test(word)));
    if (launchers.includes(found[0] ?? "")) found = found.slice(Math.max(0, found.indexOf("filterbasis")));
    if (found[0] === "npx" && found[1] === "filterbasis") found = found.slice(1);
    return found.length > 0 ? [{ line, words: found, inline }] : [];
  });
}
