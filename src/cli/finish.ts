// The layouts of a compressed model, as asked for or measured.
import type { forms } from "../basis/forms.js";
import type { Graph } from "../graph/types.js";
import { chooseForms } from "../methods/form.js";
import { readRecord } from "../methods/record.js";
import { type FormChoice, fastestForms } from "../runtime/choose-form.js";
import type { Context } from "./frame.js";

export interface Formed {
  readonly graph: Graph;
  readonly choice?: FormChoice;
}

/** Writes every compressed layer in the form asked for; `auto` measures which is fastest. */
export async function chooseForm(
  graph: Graph,
  form: "auto" | (typeof forms)[number],
  options: Parameters<typeof fastestForms>[1],
  context: Context,
): Promise<Formed> {
  if (readRecord(graph) === undefined) return { graph };
  if (form !== "auto") return { graph: chooseForms(() => form)(graph).graph };
  let bar: ReturnType<Context["progress"]> | undefined;
  try {
    const choice = await fastestForms(graph, {
      ...options,
      signal: context.signal,
      progress(done, total) {
        bar ??= context.progress("timing forms", total);
        bar.update(done);
      },
    });
    return { graph: choice.graph, choice };
  } finally {
    bar?.stop();
  }
}
