// A network in training, offered as something that can be run and evaluated like a session of ONNX Runtime.

import { feeds } from "../graph/index.js";
import type { Graph, TensorData, Value } from "../graph/types.js";
import type { Network } from "../interpreter/network.js";
import type { Port, Session } from "../runtime/session.js";
import { fromArray, noGrad, TensorScope } from "../torch/index.js";
import { snapshot, typed } from "./snapshot.js";

/** Runs in inference mode on the engine. Gives way to other work of the thread after each run. */
export function runnable(network: Network, graph: Graph): Pick<Session, "inputs" | "outputs" | "run"> {
  return {
    inputs: feeds(graph).map(port),
    outputs: graph.outputs.map(port),
    async run(given) {
      const results = noGrad(() => {
        using _scope = new TensorScope();
        const values = Object.entries(given).map(
          ([name, value]) => [name, fromArray(typed(value), value.dims, undefined, network.device)] as const,
        );
        const outputs = network.forward(new Map(values));
        return [...outputs].map(([name, tensor]): [string, TensorData] => [name, snapshot(tensor)]);
      });
      await new Promise(setImmediate);
      return Object.fromEntries(results);
    },
  };
}

function port({ name, tensor }: Value): Port {
  return { name, type: tensor?.type ?? "float32", dims: tensor?.dims ?? [] };
}
