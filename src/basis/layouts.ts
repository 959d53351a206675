// The layouts of a convolution over a basis, as the mathematics' room offers them.
export { canonicalLayout, type Layout, layouts } from "../graph/basis-conv.js";
export { layoutNodes } from "../passes/basis-conv-nodes.js";
