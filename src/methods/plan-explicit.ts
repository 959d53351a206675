// A plan of sizes that were asked for: every layer is obeyed, also where it grows.
import type { SkippedLayer } from "../basis/convolution.js";
import { FilterBasisError } from "../errors/error.js";
import { pureLinearAlgebra } from "../linalg/low-rank.js";
import { groupFullRank, groupSpectrum, type LayerGroup } from "./choices.js";
import { type Decision, type Planned, relative } from "./decision.js";
import { explicitChannels, ruleFor } from "./layer-groups.js";
import type { PlanOptions } from "./plan-options.js";

/** @throws FilterBasisError `invalid-plan` for sizes that cannot be */
export function planExplicit(groups: readonly LayerGroup[], options: PlanOptions): Decision {
  const planned: Planned[] = [];
  const skipped: SkippedLayer[] = [];
  let beyond: FilterBasisError | undefined;
  for (const group of groups) {
    const skip = (reason: string) => skipped.push(...group.layers.map(({ name }) => ({ name, reason })));
    const rule = ruleFor(group, options);
    const basisSize = rule?.basis ?? options.basis;
    if (basisSize === undefined) {
      skip("no basis size is given for it");
      continue;
    }
    if (!Number.isInteger(basisSize) || basisSize < 1) {
      throw new FilterBasisError("invalid-plan", "the basis size must be a whole number", {
        layer: group.name,
        expected: "1 or more",
        got: `${basisSize}`,
      });
    }
    if (options.share !== undefined && options.share !== "none" && !group.shared && rule === undefined) {
      skip(
        `no other convolution with its kernel and ${group.layers[0]!.inChannels} input channels can share a basis with it`,
      );
      continue;
    }
    const { channels, notes } = explicitChannels(group, rule?.splits ?? options.splits);
    const full = groupFullRank(group, channels);
    if (basisSize > full) {
      beyond ??= new FilterBasisError(
        "invalid-plan",
        "the basis is larger than the full rank of the filters it is made from",
        {
          layer: group.name,
          expected: `at most ${full} basis filters`,
          got: `${basisSize}`,
        },
      );
      skip(`a basis of ${basisSize} is larger than the full rank ${full} of its filters`);
      continue;
    }
    const spectrum = groupSpectrum(group, channels, options.linear ?? pureLinearAlgebra, options.spectra);
    planned.push({
      group,
      choice: { channels, basisSize },
      loss: relative(spectrum.squares, basisSize),
      notes,
      spectrum,
    });
  }
  if (planned.length === 0 && beyond) throw beyond;
  return { planned, skipped };
}
