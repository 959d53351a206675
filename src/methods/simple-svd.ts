// The control row of the paper's Table 5: every h x w convolution as c -> m with the layer's kernel, then 1x1 m -> n,
// by the truncated SVD of its filters [n x c h w], U sqrt(S) and sqrt(S) V^T, nothing between; 1x1 convolutions and the
// first convolution stay. m = 3 in all 36 dense layers of DenseNet-12-40 gives the paper's count, 359,520. Source:
// identified from that count; how it was trained is not stated.
import { applyChains } from "./apply-chains.js";
import { filtersOverBasis } from "./expand-bases.js";
import { spatialOnly } from "./jaderberg.js";
import type { Method } from "./method.js";
import { oneSplitLine, writeOneSplit } from "./one-split.js";
import { chainFields } from "./plan-chains.js";

export const simpleSvd: Method<"simple-svd", typeof chainFields> = {
  name: "simple-svd",
  summary: "the truncated SVD of every spatial convolution but the first: the paper's control row",
  remembered: "how it was trained",
  from: "weights",
  options: chainFields,
  apply: (graph, options) =>
    applyChains(graph, options, { name: "simple-svd", takes: spatialOnly, line: oneSplitLine, write: writeOneSplit }),
  reconstruct: filtersOverBasis,
  fullRank: ({ outChannels: n, inChannels: c, kernelElements }) => ({
    rank: Math.min(n, c * kernelElements),
    keepFirst: 0,
  }),
};
