// Networks and photographs that come with the page.
import type { NamedFile } from "../protocol.js";

export const examples = [
  { name: "edsr-8-56-x2.onnx", title: "Example: EDSR, super-resolution" },
  { name: "resnet20.onnx", title: "Example: ResNet-20, classes" },
] as const;

const photographs = ["aitzgorri", "bench", "friends", "life", "night", "picos", "seeding", "wine"];

export async function fetched(path: string): Promise<NamedFile> {
  const answer = await fetch(new URL(path, document.baseURI));
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return { name: path.split("/").at(-1)!, file: await answer.blob() };
}

export const examplePictures = (): Promise<readonly NamedFile[]> =>
  Promise.all(photographs.map((name) => fetched(`examples/${name}.webp`)));
