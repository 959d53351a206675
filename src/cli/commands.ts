// The commands by their names.
import type { Command } from "./frame.js";

/** Every command, imported only when it is asked for. The order is the order of the help text. */
export const commands: Readonly<Record<string, () => Promise<Command>>> = {
  inspect: async () => (await import("./inspect.js")).default,
  plan: async () => (await import("./plan.js")).default,
  compress: async () => (await import("./compress.js")).default,
  compare: async () => (await import("./compare.js")).default,
  evaluate: async () => (await import("./evaluate.js")).default,
  upscale: async () => (await import("./upscale.js")).default,
  data: async () => (await import("./data.js")).default,
  export: async () => (await import("./export.js")).default,
  setup: async () => (await import("./setup.js")).default,
  doctor: async () => (await import("./doctor.js")).default,
  train: async () => (await import("./train.js")).default,
  sweep: async () => (await import("./sweep.js")).default,
  tables: async () => (await import("./tables.js")).default,
  nets: async () => (await import("./nets.js")).default,
  methods: async () => (await import("./methods.js")).default,
  recipes: async () => (await import("./recipes.js")).default,
  demo: async () => (await import("./demo.js")).default,
  report: async () => (await import("./report.js")).default,
  serve: async () => (await import("./serve.js")).default,
};
