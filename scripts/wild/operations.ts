// What is done to every network of the table, as a user would type it.

/**
 * What an operation's result must be: nothing but an answer, the same function, or a smaller network within its budget.
 */
export type Kind = "reads" | "exact" | "budget";

export interface Operation {
  readonly name: string;
  readonly kind: Kind;
  /** The command's words; INPUT and OUTPUT stand for the files. */
  readonly words: readonly string[];
  readonly budget?: { readonly of: "weights" | "macs"; readonly keep: number };
  /** `compressed`: its input is the first file that a budget command wrote. */
  readonly input?: "compressed";
  /** The weights it stores are rounded to half precision. */
  readonly rounds?: boolean;
}

/** Times decide, and are those of one thread everywhere. */
export const one: readonly string[] = ["--threads", "1"];
const weights = (keep: number) => ({ of: "weights", keep }) as const;
const macs = (keep: number) => ({ of: "macs", keep }) as const;
const budgetOption = { weights: "--keep-params", macs: "--keep-macs" } as const;

/** The words that ask for a budget. */
export const budgetWords = ({ of, keep }: NonNullable<Operation["budget"]>): readonly string[] => [
  budgetOption[of],
  String(keep),
];

const plan = (name: string, budget: NonNullable<Operation["budget"]>): Operation => ({
  name,
  kind: "reads",
  words: ["plan", "INPUT", ...budgetWords(budget), ...one],
  budget,
});
const compress = (name: string, budget: NonNullable<Operation["budget"]>): Operation => ({
  name,
  kind: "budget",
  words: ["compress", "INPUT", "-o", "OUTPUT", ...budgetWords(budget), ...one],
  budget,
});

/**
 * In the order in which they run: a plan before the compression that is compared with it, undo behind both
 * compressions.
 */
export const operations: readonly Operation[] = [
  { name: "inspect", kind: "reads", words: ["inspect", "INPUT"] },
  plan("plan-weights-0.5", weights(0.5)),
  plan("plan-weights-0.6", weights(0.6)),
  plan("plan-macs-0.6", macs(0.6)),
  compress("weights-0.6", weights(0.6)),
  compress("macs-0.6", macs(0.6)),
  { name: "undo", kind: "exact", words: ["compress", "INPUT", "-o", "OUTPUT", "--undo"], input: "compressed" },
  { name: "fold-bn", kind: "exact", words: ["export", "INPUT", "-o", "OUTPUT", "--fold-bn", ...one] },
  { name: "fp16", kind: "exact", words: ["export", "INPUT", "-o", "OUTPUT", "--fp16", ...one], rounds: true },
];

/** The plan that must say what a compression then does: the same budget. */
export const planOf = ({ budget }: Operation): Operation | undefined =>
  operations.find(
    (other) => other.words[0] === "plan" && other.budget?.of === budget?.of && other.budget?.keep === budget?.keep,
  );
