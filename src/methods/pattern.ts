// Which layers are taken, by their names: * stands for any text, ? for one character; a pattern matches the whole name.

type Patterns = string | readonly string[];

export function matches(name: string, patterns: Patterns): boolean {
  return [patterns].flat().some((pattern) => toRegExp(pattern).test(name));
}

function toRegExp(pattern: string): RegExp {
  const escaped = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${escaped}$`, "s");
}

export interface Selection {
  readonly only?: Patterns;
  readonly skip?: Patterns;
}

/** Why a layer is not to be touched at all, if so. */
export function skipReason(name: string, { only, skip }: Selection): string | undefined {
  if (only !== undefined && !matches(name, only)) return "it is not among the layers asked for";
  return skip !== undefined && matches(name, skip) ? "it was asked to be skipped" : undefined;
}
