// `upscale`: an image of any size through a super-resolution network, into an image file.
import { FilterBasisError } from "../errors/error.js";
import { upscaleFile } from "../evaluate/upscale-file.js";
import { grouped } from "./columns.js";
import { command } from "./frame.js";
import { modelFile } from "./model-file.js";
import { runtimeOptions } from "./model-inputs.js";
import { given, rangeOf, whole } from "./values.js";

export default command({
  name: "upscale",
  summary: "super-resolve an image of any size",
  examples: [
    "upscale sr.onnx photo.png -o larger.png",
    "upscale sr.onnx photo.png -o larger.webp --tile 64 --runtime web",
  ],
  args: {
    model: { type: "positional", description: "an ONNX file or a run folder", required: true },
    image: { type: "positional", description: "a PNG, JPEG or WebP file", required: true },
    output: {
      type: "string",
      alias: "o",
      description: "where the result goes; the ending is the format",
      valueHint: "FILE",
      required: true,
    },
    scale: {
      type: "string",
      description: "the scale; required for networks whose output is as large as their input",
      valueHint: "S",
    },
    range: {
      type: "enum",
      options: ["1", "255", "auto"],
      description: "what 8-bit 255 is in the network (default auto)",
    },
    tile: {
      type: "string",
      description: "pixels of a tile's side that are kept; by default 512 / scale",
      valueHint: "N",
    },
    overlap: {
      type: "string",
      description: "pixels read beyond a tile; by default the network's receptive field",
      valueHint: "N",
    },
    ...runtimeOptions,
  },
  async run(args, { note, progress, signal }) {
    let bar: ReturnType<typeof progress> | undefined;
    try {
      const result = await upscaleFile(await modelFile(args.model), args.image, args.output, {
        ...given("scale", whole("--scale", args.scale, 1, 16)),
        ...given("range", rangeOf(args.range)),
        ...given("tile", whole("--tile", args.tile, 8, 1 << 16)),
        ...given("overlap", whole("--overlap", args.overlap, 0, 1 << 12)),
        ...given("threads", whole("--threads", args.threads, 1, 1024)),
        ...given("runtime", args.runtime),
        progress(done, all) {
          if (all > 1) (bar ??= progress("tiles", all)).update(done);
        },
        signal,
        note,
      });
      if (signal.aborted) throw new FilterBasisError("interrupted", "stopped while upscaling");
      const { file, from, to, scale, range, tiles, seconds, bytes } = result;
      const lines = [
        `${file}: ${from.join(" x ")} -> ${to.join(" x ")} pixels (x${scale}, values 0..${range}), ${grouped(bytes)} bytes, ${seconds.toFixed(1)} s`,
        ...(tiles > 1
          ? [
              `${tiles} tiles, ${result.exact ? "equal to the whole image" : `not exactly the whole image: ${result.reason}`}`,
            ]
          : []),
      ];
      return { json: result, text: lines.join("\n") };
    } finally {
      bar?.stop();
    }
  },
});
