// What x86 processors without VNNI do with eight bits (the instruction VPMADDUBSW): products of an unsigned and a
// signed number are added in pairs into 16 bits, which saturate.

const [least, most] = [-(2 ** 15), 2 ** 15 - 1];

/** The sum of two products as such a processor has it, and whether it is not the sum. */
export function pairSum16(
  a: number,
  weightA: number,
  b: number,
  weightB: number,
): { readonly sum: number; readonly saturates: boolean } {
  const exact = a * weightA + b * weightB;
  const sum = Math.min(most, Math.max(least, exact));
  return { sum, saturates: sum !== exact };
}

/** A whole sum of products, pair by pair; 0 stands beside the last of an odd number. */
export function dotInPairs(activations: ArrayLike<number>, weights: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < activations.length; i += 2)
    sum += pairSum16(activations[i]!, weights[i]!, activations[i + 1] ?? 0, weights[i + 1] ?? 0).sum;
  return sum;
}
