// DIV2K (Agustsson and Timofte, 2017): 800 training and 100 validation images with MATLAB's bicubic low-resolution
// versions.
import type { Checksum } from "../download.js";
import { imageArchives } from "../image-archives.js";

const address = "https://data.vision.ee.ethz.ch/cvl/DIV2K";
const archives: readonly [file: string, size: number, digest: string, scale?: number][] = [
  ["DIV2K_train_HR", 3530603713, "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335"],
  ["DIV2K_train_LR_bicubic_X2", 925390592, "a53a424317575838dadce4bcd97cf7b744d6855f43740ed5f0245af3cf4bd850", 2],
  ["DIV2K_train_LR_bicubic_X3", 427847282, "ad5c8e5507e2765823d3c2c5bd0934842efcd487c5370604c224090898b3163a", 3],
  ["DIV2K_train_LR_bicubic_X4", 246914039, "f006b837f4eb52b82909aa01478e6d6d199eefce932179491d0c9dbb706dde3a", 4],
  ["DIV2K_valid_HR", 448993893, "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc"],
  ["DIV2K_valid_LR_bicubic_X2", 117763600, "60eed9875c697df51204aa579e2a699e1d5215095788a097ff54dd17e2664d57", 2],
  ["DIV2K_valid_LR_bicubic_X3", 54513392, "04b9a2ed3b4a0715d3924d3ae8514830c3328fac8d30512ce716d6f419e052a3", 3],
  ["DIV2K_valid_LR_bicubic_X4", 31505881, "a50a5d1c4b88de4e8d300d8fb2b904c52fe93b2b298a4899697760d7cbb6d553", 4],
];
const sha256 = (digest: string): Checksum => ({ algorithm: "sha256", digest });

export const div2k = imageArchives("DIV2K: 800 images to train super-resolution on, 100 to validate on", {
  name: "div2k",
  prefix: "",
  archives: archives.map(([file, size, digest, scale]) => ({
    url: `${address}/${file}.zip`,
    size,
    checksum: sha256(digest),
    ...(scale && { scale }),
  })),
});
