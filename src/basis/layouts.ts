// The layouts of a convolution over a basis, as the mathematics' room offers them.
export { type BasisConvolution, canonicalLayout, type Layout, layouts } from "../graph/basis-conv.js";
export { type LayoutContext, layoutNodes } from "../passes/basis-conv-nodes.js";
