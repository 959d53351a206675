// Networks and photographs that come with the page.
import type { NamedFile } from "../protocol.js";

/** Made by the build: the networks of weights/ that are there. */
declare const exampleNetworks: readonly string[];

const known = [
  { name: "edsr-8-56-x2.onnx", title: "Example: EDSR, super-resolution" },
  { name: "vgg16-half.onnx", title: "Example: VGG-16 of half width, classes" },
  { name: "resnet20.onnx", title: "Example: ResNet-20, classes" },
] as const;

export const examples = known.filter(({ name }) => exampleNetworks.includes(name));

const photographs = ["aitzgorri", "bench", "friends", "life", "night", "picos", "seeding", "wine"];

export async function fetched(path: string): Promise<NamedFile> {
  const answer = await fetch(new URL(path, document.baseURI));
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return { name: path.split("/").at(-1)!, file: await answer.blob() };
}

export const examplePictures = (): Promise<readonly NamedFile[]> =>
  Promise.all(photographs.map((name) => fetched(`examples/${name}.webp`)));

export const examplePaths: readonly string[] = [
  ...examples.map(({ name }) => `weights/${name}`),
  ...photographs.map((name) => `examples/${name}.webp`),
];
