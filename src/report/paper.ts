// The tables of the paper as printed: Li, Gu, Van Gool, Timofte, "FineTuning Filter Basis for Convolutional Neural
// Network Compression", ICCV 2019. Numbers are the paper's; what they should be is counted elsewhere.

/** What a metric is: errors in percent (less is better), PSNR in dB on a data set (more is better). */
export type Metric = "top1Error" | "Set5" | "Set14" | "B100" | "Urban100" | "DIV2K";

export interface PaperRow {
  readonly row: string;
  readonly metrics: Partial<Readonly<Record<Metric, number>>>;
  /** The baseline's error where the table prints it beside. */
  readonly baseline?: number;
  /** As printed: "186k". */
  readonly parameters?: string;
  /** Percent of the baseline's parameters. */
  readonly rate?: number;
  /** Percent of the baseline's multiply-accumulates. */
  readonly macsRate?: number;
  /** Absent for methods that are not here. */
  readonly recipe?: string;
  /** The recipe that rates refer to. */
  readonly relativeTo?: string;
}

export interface PaperTable {
  readonly number: number;
  readonly title: string;
  /** What is counted: the whole network, or one residual block. */
  readonly unit: "network" | "residual block";
  readonly metrics: readonly Metric[];
  readonly rows: readonly PaperRow[];
}

const pictures = ["Set5", "Set14", "B100", "Urban100", "DIV2K"] as const;
const psnr = (...values: readonly number[]): PaperRow["metrics"] =>
  Object.fromEntries(values.map((value, i) => [pictures[i], value]));

// biome-ignore format: tables are read line by line
const table3 = ([2, 3, 4] as const).flatMap((scale): PaperRow[] => {
  const metrics = {
    2: [psnr(37.95, 33.53, 32.15, 31.99, 34.6), psnr(38.09, 33.75, 32.23, 32.38, 34.77), psnr(38.12, 33.72, 32.27, 32.46, 34.84), psnr(38.19, 33.95, 32.35, 32.97, 35.03)],
    3: [psnr(34.33, 30.31, 29.08, 28.1, 30.91), psnr(34.47, 30.41, 29.15, 28.39, 31.06), psnr(34.55, 30.46, 29.18, 28.51, 31.11), psnr(34.68, 30.53, 29.26, 28.81, 31.26)],
    4: [psnr(32.05, 28.54, 27.55, 25.98, 28.92), psnr(32.29, 28.63, 27.62, 26.25, 29.06), psnr(32.39, 28.69, 27.64, 26.36, 29.13), psnr(32.48, 28.81, 27.72, 26.65, 29.25)],
  }[scale];
  const relativeTo = `table3-baseline-x${scale}`;
  return [
    { row: `x${scale}, Factor`, metrics: metrics[0] ?? {}, parameters: "136k", rate: 11.5, recipe: `table3-factor-x${scale}`, relativeTo },
    { row: `x${scale}, Basis-S (ours)`, metrics: metrics[1] ?? {}, parameters: "90k", rate: 7.6, recipe: `table3-basis-s-x${scale}`, relativeTo },
    { row: `x${scale}, Basis (ours)`, metrics: metrics[2] ?? {}, parameters: "164k", rate: 13.9, recipe: `table3-basis-x${scale}`, relativeTo },
    { row: `x${scale}, Baseline`, metrics: metrics[3] ?? {}, parameters: "1180k", rate: 100, recipe: relativeTo, relativeTo },
  ];
});

/** All six tables. */
// biome-ignore format: tables are read line by line
export const paperTables: readonly PaperTable[] = [
  {
    number: 1,
    title: "EDSR x4 at different operating points, 4 splits",
    unit: "residual block",
    metrics: pictures,
    rows: [
      { row: "m = 16, not shared", metrics: psnr(32.14, 28.58, 27.58, 26.05, 28.96), parameters: "27k", rate: 2.3, recipe: "table1-m16", relativeTo: "table1-baseline" },
      { row: "m = 16, shared", metrics: psnr(32.16, 28.57, 27.57, 26.0, 28.93), parameters: "17k", rate: 1.5, recipe: "table1-m16-shared", relativeTo: "table1-baseline" },
      { row: "m = 32, not shared", metrics: psnr(32.22, 28.66, 27.62, 26.2, 29.06), parameters: "53k", rate: 4.5, recipe: "table1-m32", relativeTo: "table1-baseline" },
      { row: "m = 32, shared", metrics: psnr(32.2, 28.64, 27.61, 26.2, 29.06), parameters: "35k", rate: 3, recipe: "table1-m32-shared", relativeTo: "table1-baseline" },
      { row: "m = 64, not shared", metrics: psnr(32.33, 28.72, 27.66, 26.38, 29.14), parameters: "106k", rate: 9, recipe: "table1-m64", relativeTo: "table1-baseline" },
      { row: "m = 64, shared", metrics: psnr(32.3, 28.73, 27.64, 26.38, 29.14), parameters: "70k", rate: 5.9, recipe: "table1-m64-shared", relativeTo: "table1-baseline" },
      { row: "Baseline", metrics: psnr(32.48, 28.81, 27.72, 26.65, 29.25), parameters: "1180k", rate: 100, recipe: "table1-baseline", relativeTo: "table1-baseline" },
    ],
  },
  {
    number: 2,
    title: "SRResNet and EDSR-8-128 x4",
    unit: "residual block",
    metrics: pictures,
    rows: [
      { row: "SRResNet, Factor-SIC2", metrics: psnr(31.68, 28.32, 27.37, 25.47, 28.59), parameters: "19k", rate: 25.3, recipe: "table2-srresnet-factor-sic2", relativeTo: "table2-srresnet-baseline" },
      { row: "SRResNet, Factor-SIC3", metrics: psnr(31.86, 28.38, 27.4, 25.58, 28.65), parameters: "28k", rate: 38, recipe: "table2-srresnet-factor-sic3", relativeTo: "table2-srresnet-baseline" },
      { row: "SRResNet, Basis-64-14 (ours)", metrics: psnr(31.84, 28.38, 27.39, 25.54, 28.63), parameters: "18k", rate: 24.3, recipe: "table2-srresnet-64-14", relativeTo: "table2-srresnet-baseline" },
      { row: "SRResNet, Basis-32-32 (ours)", metrics: psnr(31.9, 28.43, 27.44, 25.65, 28.69), parameters: "27k", rate: 36.1, recipe: "table2-srresnet-32-32", relativeTo: "table2-srresnet-baseline" },
      { row: "SRResNet, Baseline", metrics: psnr(32.03, 28.5, 27.52, 25.88, 28.85), parameters: "74k", rate: 100, recipe: "table2-srresnet-baseline", relativeTo: "table2-srresnet-baseline" },
      // The DIV2K line of this half is not legible in the copy of the paper that this was written from.
      { row: "EDSR-8-128, Factor-SIC2", metrics: psnr(31.82, 28.4, 27.43, 25.63), parameters: "70k", rate: 23.8, recipe: "table2-edsr-8-128-factor-sic2", relativeTo: "table2-edsr-8-128-baseline" },
      { row: "EDSR-8-128, Factor-SIC3", metrics: psnr(31.96, 28.47, 27.49, 25.81), parameters: "105k", rate: 35.7, recipe: "table2-edsr-8-128-factor-sic3", relativeTo: "table2-edsr-8-128-baseline" },
      { row: "EDSR-8-128, Basis-128-27 (ours)", metrics: psnr(31.95, 28.42, 27.46, 25.76), parameters: "69k", rate: 23.4, recipe: "table2-edsr-8-128-27", relativeTo: "table2-edsr-8-128-baseline" },
      { row: "EDSR-8-128, Basis-128-40 (ours)", metrics: psnr(32.03, 28.45, 27.5, 25.81), parameters: "102k", rate: 34.7, recipe: "table2-edsr-8-128-40", relativeTo: "table2-edsr-8-128-baseline" },
      { row: "EDSR-8-128, Baseline", metrics: psnr(32.1, 28.55, 27.55, 26.02), parameters: "295k", rate: 100, recipe: "table2-edsr-8-128-baseline", relativeTo: "table2-edsr-8-128-baseline" },
    ],
  },
  { number: 3, title: "EDSR", unit: "residual block", metrics: pictures, rows: table3 },
  {
    number: 4,
    title: "DenseNet-12-40 at different operating points",
    unit: "network",
    metrics: ["top1Error"],
    rows: [
      ...([[24, 5.69, "320k", 30.8], [26, 5.7, "336k", 32.3], [32, 5.57, "383k", 36.8]] as const).map(([m, top1Error, parameters, rate]) => (
        { row: `M${m}`, metrics: { top1Error }, parameters, rate, recipe: `table4-m${m}`, relativeTo: "table4-baseline" })),
      { row: "M36T6", metrics: { top1Error: 5.32 }, parameters: "331k", rate: 31.8, recipe: "table4-m36t6", relativeTo: "table4-baseline" },
      { row: "M38T12", metrics: { top1Error: 5.56 }, parameters: "326k", rate: 31.3, recipe: "table4-m38t12", relativeTo: "table4-baseline" },
      { row: "Baseline", metrics: { top1Error: 5.26 }, parameters: "1041k", rate: 100, recipe: "table4-baseline", relativeTo: "table4-baseline" },
    ],
  },
  {
    number: 5,
    title: "VGG-16, DenseNet-12-40 and ResNet-56 on CIFAR-10",
    unit: "network",
    metrics: ["top1Error"],
    rows: [
      { row: "VGG-16, Baseline", metrics: { top1Error: 5.98 }, recipe: "table5-vgg16-baseline", relativeTo: "table5-vgg16-baseline" },
      { row: "VGG-16, K-means", metrics: { top1Error: 6.24 }, baseline: 5.98, parameters: "3.27M", rate: 22.2, recipe: "table5-vgg16-kmeans", relativeTo: "table5-vgg16-baseline" },
      { row: "VGG-16, Factor", metrics: { top1Error: 7.12 }, baseline: 5.98, parameters: "3.34M", rate: 22.7, recipe: "table5-vgg16-factor", relativeTo: "table5-vgg16-baseline" },
      { row: "VGG-16, Group", metrics: { top1Error: 6.69 }, baseline: 5.98, parameters: "3.80M", rate: 25.9, recipe: "table5-vgg16-group", relativeTo: "table5-vgg16-baseline" },
      { row: "VGG-16, Basis (ours)", metrics: { top1Error: 6.18 }, baseline: 5.98, parameters: "3.21M", rate: 21.8, recipe: "table5-vgg16-basis", relativeTo: "table5-vgg16-baseline" },
      { row: "DenseNet-12-40, Baseline", metrics: { top1Error: 5.26 }, recipe: "table5-densenet-baseline", relativeTo: "table5-densenet-baseline" },
      { row: "DenseNet-12-40, K-means", metrics: { top1Error: 5.44 }, baseline: 5.26, parameters: "335k", rate: 32.2, recipe: "table5-densenet-kmeans", relativeTo: "table5-densenet-baseline" },
      { row: "DenseNet-12-40, Factor", metrics: { top1Error: 6.71 }, baseline: 5.26, parameters: "317k", rate: 30.4, recipe: "table5-densenet-factor", relativeTo: "table5-densenet-baseline" },
      { row: "DenseNet-12-40, Group", metrics: { top1Error: 6.65 }, baseline: 5.26, parameters: "337k", rate: 32.4, recipe: "table5-densenet-group", relativeTo: "table5-densenet-baseline" },
      { row: "DenseNet-12-40, KSE", metrics: { top1Error: 5.3 }, baseline: 5.19, parameters: "390k", rate: 37.5, recipe: "table5-densenet-kse", relativeTo: "table5-densenet-baseline" },
      { row: "DenseNet-12-40, slimming (70 %)", metrics: { top1Error: 5.65 }, baseline: 5.19, parameters: "350k", rate: 33.6, recipe: "table5-densenet-slimming", relativeTo: "table5-densenet-baseline" },
      { row: "DenseNet-12-40, Simple-SVD", metrics: { top1Error: 7.14 }, baseline: 5.26, parameters: "360k", rate: 34.6, recipe: "table5-densenet-simple-svd", relativeTo: "table5-densenet-baseline" },
      { row: "DenseNet-12-40, Basis (ours)", metrics: { top1Error: 5.32 }, baseline: 5.26, parameters: "331k", rate: 31.8, recipe: "table5-densenet-basis", relativeTo: "table5-densenet-baseline" },
      { row: "ResNet-56, Baseline", metrics: { top1Error: 6.28 }, recipe: "table5-resnet56-baseline", relativeTo: "table5-resnet56-baseline" },
      { row: "ResNet-56, K-means", metrics: { top1Error: 6.76 }, baseline: 6.28, parameters: "190k", rate: 22.4, recipe: "table5-resnet56-kmeans", relativeTo: "table5-resnet56-baseline" },
      { row: "ResNet-56, Factor", metrics: { top1Error: 8.7 }, baseline: 6.28, parameters: "212k", rate: 24.9, recipe: "table5-resnet56-factor", relativeTo: "table5-resnet56-baseline" },
      { row: "ResNet-56, Group", metrics: { top1Error: 6.45 }, baseline: 6.28, parameters: "206k", rate: 24.3, recipe: "table5-resnet56-group", relativeTo: "table5-resnet56-baseline" },
      { row: "ResNet-56, KSE", metrics: { top1Error: 7.12 }, baseline: 6.97, parameters: "360k", rate: 42.4, recipe: "table5-resnet56-kse", relativeTo: "table5-resnet56-baseline" },
      { row: "ResNet-56, Basis (ours)", metrics: { top1Error: 6.6 }, baseline: 6.28, parameters: "186k", rate: 21.9, recipe: "table5-resnet56-basis", relativeTo: "table5-resnet56-baseline" },
    ],
  },
  {
    number: 6,
    title: "VGG-16 and ResNet-56 on CIFAR-10 by multiply-accumulates",
    unit: "network",
    metrics: ["top1Error"],
    rows: [
      { row: "VGG, Baseline", metrics: { top1Error: 5.98 }, macsRate: 100, recipe: "table6-vgg16-baseline", relativeTo: "table6-vgg16-baseline" },
      { row: "VGG, K-means", metrics: { top1Error: 6.24 }, baseline: 5.98, macsRate: 100, recipe: "table6-vgg16-kmeans", relativeTo: "table6-vgg16-baseline" },
      { row: "VGG, Factor", metrics: { top1Error: 7.12 }, baseline: 5.98, macsRate: 36.6, recipe: "table6-vgg16-factor", relativeTo: "table6-vgg16-baseline" },
      { row: "VGG, Group", metrics: { top1Error: 6.69 }, baseline: 5.98, macsRate: 46.1, recipe: "table6-vgg16-group", relativeTo: "table6-vgg16-baseline" },
      { row: "VGG, Basis (ours)", metrics: { top1Error: 6.23 }, baseline: 5.98, macsRate: 23.5, recipe: "table6-vgg16-basis", relativeTo: "table6-vgg16-baseline" },
      { row: "ResNet56, Baseline", metrics: { top1Error: 7.05 }, macsRate: 100, recipe: "table6-resnet56-baseline", relativeTo: "table6-resnet56-baseline" },
      { row: "ResNet56, CaP", metrics: { top1Error: 6.78 }, baseline: 6.49, macsRate: 50.2, recipe: "table6-resnet56-cap", relativeTo: "table6-resnet56-baseline" },
      { row: "ResNet56, ENC", metrics: { top1Error: 7 }, baseline: 6.9, macsRate: 50, recipe: "table6-resnet56-enc", relativeTo: "table6-resnet56-baseline" },
      { row: "ResNet56, AMC", metrics: { top1Error: 8.1 }, baseline: 7.2, macsRate: 50, recipe: "table6-resnet56-amc", relativeTo: "table6-resnet56-baseline" },
      { row: "ResNet56, KSE", metrics: { top1Error: 6.77 }, baseline: 6.97, macsRate: 48, recipe: "table6-resnet56-kse", relativeTo: "table6-resnet56-baseline" },
      { row: "ResNet56, Basis (ours)", metrics: { top1Error: 6.08 }, baseline: 7.05, macsRate: 50, recipe: "table6-resnet56-basis", relativeTo: "table6-resnet56-baseline" },
    ],
  },
];
