// The layouts of a compressed model, as asked for or measured.
import type { layouts } from "../basis/layouts.js";
import type { Graph } from "../graph/types.js";
import { chooseLayouts } from "../methods/layout.js";
import { readRecord } from "../methods/record.js";
import { fastestLayouts, type LayoutChoice } from "../runtime/choose-layout.js";
import type { Context } from "./frame.js";

export interface Formed {
  readonly graph: Graph;
  readonly choice?: LayoutChoice;
}

/** Writes every compressed layer in the layout asked for; `auto` measures which is fastest. */
export async function chooseLayout(
  graph: Graph,
  layout: "auto" | (typeof layouts)[number],
  options: Parameters<typeof fastestLayouts>[1],
  context: Context,
): Promise<Formed> {
  if (readRecord(graph) === undefined) return { graph };
  if (layout !== "auto") return { graph: chooseLayouts(() => layout)(graph).graph };
  let bar: ReturnType<Context["progress"]> | undefined;
  try {
    const choice = await fastestLayouts(graph, {
      ...options,
      signal: context.signal,
      progress(done, total) {
        bar ??= context.progress("timing layouts", total);
        bar.update(done);
      },
    });
    return { graph: choice.graph, choice };
  } finally {
    bar?.stop();
  }
}
