// How the paper's authors apply each method to each network: what their code does differently from one network to
// the next. A preset only fills in options; whatever is stated beside it wins.

/** The networks of the paper, as far as its code treats them differently. */
export const presetNames = ["vgg", "resnet", "densenet", "srresnet", "edsr"] as const;
export type Preset = (typeof presetNames)[number];

/** Residual blocks only: the head, the convolution behind the body, and the tail stay. */
const blocks = { only: "body.*.body.*", keepFirst: 0 } as const;

/** The learned basis, trained from scratch. */
export const basisPresets = {
  /** Norm and ReLU stand between basis and coefficients; the first three convolutions stay; one basis a layer. */
  vgg: { keepFirst: 3, insertNorm: true, init: "vgg" },
  /**
   * Nothing stands between; one basis for all convolutions with the same input channels, so the first of a stage
   * reads its predecessor's.
   */
  resnet: { share: "group", init: "kaiming" },
  /** One basis for the network, of which a layer reads as many channels as it has; coefficients are 3 x 3. */
  densenet: { insertNorm: true, share: "network", coefficientKernel: 3, init: "kaiming" },
  /** Norm and PReLU between, and a PReLU behind the second unit of a block, where the baseline has none. */
  srresnet: { ...blocks, insertNorm: true, insertActivation: true },
  edsr: { ...blocks, init: "kaiming-uniform" },
} as const;

/** SIC layers (Wang et al.). */
export const factorPresets = {
  vgg: { keepFirst: 3, norm: "both", bias: true, widen: "last", dropNorm: true },
  resnet: { norm: "none", bias: false, widen: "last" },
  densenet: { norm: "between", bias: false, widen: "first", init: "kaiming" },
  srresnet: { ...blocks, norm: "none", bias: true, widen: "last" },
  edsr: { ...blocks, norm: "none", bias: true, widen: "last" },
} as const;

/** Filter groups (Peng et al.). */
export const groupPresets = {
  vgg: { keepFirst: 3, insertNorm: true, bias: true, init: "vgg" },
  resnet: { bias: true, init: "kaiming" },
  densenet: { bias: false, narrow: true, init: "kaiming" },
  srresnet: { ...blocks, insertNorm: true, bias: true },
  edsr: { ...blocks, bias: true },
} as const;

/** A preset's options; none without a preset. */
export function presetOptions<T extends Readonly<Record<Preset, object>>>(
  presets: T,
  preset: Preset | undefined,
): Partial<T[Preset]> {
  return preset === undefined ? {} : presets[preset];
}
