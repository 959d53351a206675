// Two ways to compute the same, each with rounding of its own: what both may be off by.
import type { ReferenceSet } from "./reference.js";
import type { OutputRule, Tolerance } from "./tolerance.js";

/**
 * The reference with the noise of another model's outputs added to what is allowed: a network whose layers are written
 * in two convolutions rounds where the original does not, which matters where it computes in half precision. Both must
 * be of the same inputs.
 */
export function allowingNoiseOf(reference: ReferenceSet, other: ReferenceSet): ReferenceSet {
  const noise = new Map(other.rules.map((rule) => [rule.name, rule]));
  return { ...reference, rules: reference.rules.map((rule) => withNoise(rule, noise.get(rule.name))) };
}

function withNoise(rule: OutputRule, other: OutputRule | undefined): OutputRule {
  if (other === undefined || other.tolerances.length !== rule.tolerances.length) return rule;
  return { ...rule, tolerances: rule.tolerances.map((one, i) => sum(one, other.tolerances[i]!)) };
}

function sum(a: Tolerance, b: Tolerance): Tolerance {
  return { ...a, max: a.max + b.max, rms: a.rms + b.rms, share: Math.min(1, a.share + b.share), near: a.near + b.near };
}
