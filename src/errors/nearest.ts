// The nearest of the names that there are, for messages about one that there is not.

/** ", did you mean --epochs?" for a near miss, else nothing. */
export function nearest(word: string, known: readonly string[], prefix = "--"): string {
  const [best] = nearestNames(word, known, 1);
  return best === undefined ? "" : `, did you mean ${prefix}${best}?`;
}

/** The names that differ least from the word, in at most a third of its letters. */
export function nearestNames(word: string, known: readonly string[], most = 3): readonly string[] {
  const near = Math.max(1, Math.floor(word.length / 3));
  const scored = known
    .filter((name) => name.length > 1 && Math.abs(name.length - word.length) <= near)
    .map((name) => ({ name, distance: editDistance(word, name) }));
  const least = Math.min(near, ...scored.map(({ distance }) => distance));
  return scored
    .filter(({ distance }) => distance === least)
    .slice(0, most)
    .map(({ name }) => name);
}

/** Insertions, removals and changes of single letters that lead from one word to the other. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
