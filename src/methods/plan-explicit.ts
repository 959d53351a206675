// A plan of sizes that were asked for: every layer is obeyed, also where it grows.
import type { Refusal } from "../basis/convolution.js";
import { FilterBasisError } from "../errors/error.js";
import { pureLinearAlgebra } from "../linalg/low-rank.js";
import { type Unit, unitFullRank, unitSpectrum } from "./candidates.js";
import { type Decision, type Planned, relative } from "./decision.js";
import type { PlanOptions } from "./plan-options.js";
import { explicitChannels, ruleFor } from "./units.js";

/** @throws FilterBasisError `invalid-plan` for sizes that cannot be */
export function planExplicit(units: readonly Unit[], options: PlanOptions): Decision {
  const planned: Planned[] = [];
  const refused: Refusal[] = [];
  let beyond: FilterBasisError | undefined;
  for (const unit of units) {
    const refuse = (because: string) => refused.push(...unit.layers.map(({ name }) => ({ name, because })));
    const rule = ruleFor(unit, options);
    const basisSize = rule?.basis ?? options.basis;
    if (basisSize === undefined) {
      refuse("no basis size is given for it");
      continue;
    }
    if (!Number.isInteger(basisSize) || basisSize < 1) {
      throw new FilterBasisError("invalid-plan", "the basis size must be a whole number", {
        layer: unit.name,
        expected: "1 or more",
        got: `${basisSize}`,
      });
    }
    if (options.share !== undefined && options.share !== "none" && !unit.shared && rule === undefined) {
      refuse(`no other convolution with its kernel and ${unit.layers[0]!.inChannels} input channels can share a basis with it`);
      continue;
    }
    const { channels, notes } = explicitChannels(unit, rule?.splits ?? options.splits);
    const full = unitFullRank(unit, channels);
    if (basisSize > full) {
      beyond ??= new FilterBasisError("invalid-plan", "the basis is larger than the full rank of the filters it is made from", {
        layer: unit.name,
        expected: `at most ${full} basis filters`,
        got: `${basisSize}`,
      });
      refuse(`a basis of ${basisSize} is larger than the full rank ${full} of its filters`);
      continue;
    }
    const spectrum = unitSpectrum(unit, channels, options.linear ?? pureLinearAlgebra, options.spectra);
    planned.push({ unit, choice: { channels, basisSize }, loss: relative(spectrum.squares, basisSize), notes, spectrum });
  }
  if (planned.length === 0 && beyond) throw beyond;
  return { planned, refused };
}
