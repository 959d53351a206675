// The sets that super-resolution is measured on, out of the archive of EDSR's authors: HR images and MATLAB's bicubic
// LR ones.
import { imageArchives } from "../image-archives.js";

const archive = {
  url: "https://cv.snu.ac.kr/research/EDSR/benchmark.tar",
  checksum: { algorithm: "md5", digest: "4ace41d33c2384b97e6b320cd0afd6ba" },
} as const;

const benchmark = (name: string, folder: string, summary: string) =>
  imageArchives(summary, { name, prefix: `benchmark/${folder}/`, archives: [archive] });

export const set5 = benchmark("set5", "Set5", "Set5: 5 images to measure super-resolution on");
export const set14 = benchmark("set14", "Set14", "Set14: 14 images to measure super-resolution on");
export const b100 = benchmark("b100", "B100", "BSD100: 100 images of BSDS500 to measure super-resolution on");
export const urban100 = benchmark(
  "urban100",
  "Urban100",
  "Urban100: 100 images of buildings to measure super-resolution on",
);
