// In what a network may compute: floats, eight bits, or of every layer whichever was measured faster within the loss
// allowed.

export const precisions = ["fp32", "int8", "auto"] as const;
export type Precision = (typeof precisions)[number];
