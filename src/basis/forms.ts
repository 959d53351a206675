// The layouts of a convolution over a basis, as the mathematics' room offers them.
export { type BasisConvolution, canonicalForm, type Form, forms } from "../graph/basis-conv.js";
export { type FormContext, formNodes } from "../passes/basis-conv-nodes.js";
