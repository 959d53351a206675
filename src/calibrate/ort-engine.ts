// Networks of a calibration on ONNX Runtime, in Node or as a browser has it; products in TypeScript alone.
import { isError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import { matrix, transpose } from "../linalg/matrix.js";
import { pureLinearAlgebra } from "../linalg/pure.js";
import { openSession } from "../runtime/open.js";
import type { RuntimeName, Session, SessionOptions } from "../runtime/session.js";
import type { Engine } from "./engine.js";
import type { Products } from "./sums.js";

export interface OrtEngineOptions extends Pick<SessionOptions, "provider"> {
  readonly runtime?: RuntimeName;
  readonly threads?: number;
  readonly optimisation?: "disabled" | "all";
}

export function ortEngine(options: OrtEngineOptions = {}): Engine {
  const session: SessionOptions = { ...options, arena: false };
  return {
    name: "onnxruntime",
    algebra: pureLinearAlgebra,
    products: pureProducts,
    async open(graph) {
      const opened = await openSession(graph, session).catch((error: unknown) => openedPlainly(graph, session, error));
      return { run: (feeds) => opened.run(feeds), close: () => opened.release() };
    },
  };
}

/** The runtime's own rewriting fails on pieces of some networks that it runs whole: such a piece runs as it is. */
async function openedPlainly(graph: Graph, session: SessionOptions, error: unknown): Promise<Session> {
  if (!isError(error, "runtime") || session.optimisation === "disabled") throw error;
  return openSession(graph, { ...session, optimisation: "disabled" }).catch(() => {
    throw error; // what it says of the model as it usually runs
  });
}

/** In double precision. */
export const pureProducts: Products = {
  addGram(into, x, rows, cols) {
    const { data } = pureLinearAlgebra.gram(matrix(rows, cols, Float64Array.from(x)));
    for (let i = 0; i < cols; i++) for (let at = i * cols; at <= i * (cols + 1); at++) into[at] = into[at]! + data[at]!;
  },
  cross(y, left, x, right, rows) {
    const outputs = transpose(matrix(rows, left, Float64Array.from(y)));
    return pureLinearAlgebra.multiply(outputs, matrix(rows, right, Float64Array.from(x))).data;
  },
  project: (x, rows, f) =>
    Float32Array.from(pureLinearAlgebra.multiply(matrix(rows, f.cols, Float64Array.from(x)), transpose(f)).data),
};
