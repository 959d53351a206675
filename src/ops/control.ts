// Operators that run graphs of their own.
import { any, calls, type Family } from "./operator.js";

export const control = {
  If: { signature: calls(1, { else_branch: "graph", then_branch: "graph" }, [1, any]) },
  Loop: { signature: calls([0, any], { body: "graph" }, [1, any]) },
  // Before opset 9 its first input could be left out.
  Scan: { signature: calls([0, any], { body: "graph", directions: "ints", num_scan_inputs: "int" }, [1, any]) },
} satisfies Family;
