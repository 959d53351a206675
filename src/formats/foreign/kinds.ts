// Files that are given where something else is expected: what they are called, and how one comes from them to an
// ONNX model.

export interface KindOfFile {
  /** With its article: "a PyTorch checkpoint". */
  readonly what: string;
  /** What to do where an ONNX model was wanted. */
  readonly cures: readonly string[];
}

const exportFromPyTorch =
  'load the network in Python and export it: torch.onnx.export(model, example_input, "model.onnx")';
const ownNetwork =
  "weights of a network that `filterbasis nets` lists: filterbasis nets NAME --weights FILE -o model.onnx";
const tf2onnx = (from: string): string =>
  `pip install tf2onnx, then: python -m tf2onnx.convert ${from} --output model.onnx`;
const before = "give the ONNX model that it was made from";
const modelWanted = "give an ONNX file, or a run folder";
const unpack = (command: string): readonly string[] => [`unpack it and give the ONNX file inside: ${command}`];
const media = (what: string): KindOfFile => ({ what, cures: [modelWanted] });

export const kinds = {
  onnx: { what: "an ONNX model", cures: [] },
  "onnx-text": {
    what: "an ONNX model written as text",
    cures: ['write it as binary in Python: onnx.save(onnx.load("model.txt", format="textproto"), "model.onnx")'],
  },
  "onnx-tensor": { what: "a single ONNX tensor (TensorProto), as in test data", cures: [modelWanted] },
  "onnx-weights": {
    what: "the external weights of an ONNX model",
    cures: ["give the .onnx file beside it, which refers to these weights"],
  },
  ort: { what: "a model in ONNX Runtime's own ORT format", cures: [`${before}: the .onnx file`] },
  pytorch: { what: "a PyTorch checkpoint", cures: [exportFromPyTorch, ownNetwork] },
  torchscript: {
    what: "a TorchScript model",
    cures: [
      'export it in Python: torch.onnx.export(torch.jit.load("model.pt"), example_input, "model.onnx", dynamo=False)',
    ],
  },
  "torch-export": {
    what: "a program saved by torch.export",
    cures: ['export it in Python: torch.onnx.export(torch.export.load("model.pt2"), dynamo=True).save("model.onnx")'],
  },
  executorch: { what: "an ExecuTorch program", cures: [exportFromPyTorch] },
  pickle: { what: "a Python pickle", cures: [exportFromPyTorch] },
  safetensors: {
    what: "a safetensors file, which holds weights but no network",
    cures: [exportFromPyTorch, ownNetwork],
  },
  gguf: { what: "a GGUF file (a language model)", cures: ["filterbasis is for convolutional networks in ONNX"] },
  tflite: { what: "a TensorFlow Lite model", cures: [tf2onnx("--tflite model.tflite")] },
  keras: {
    what: "a Keras model",
    cures: ['export it in Python: keras.saving.load_model("model.keras").export("model.onnx", format="onnx")'],
  },
  hdf5: { what: "an HDF5 file, as Keras writes its models", cures: [tf2onnx("--keras model.h5")] },
  "saved-model": { what: "a TensorFlow SavedModel", cures: [tf2onnx("--saved-model FOLDER")] },
  "tf-graph": {
    what: "a frozen TensorFlow graph",
    cures: [tf2onnx("--graphdef model.pb --inputs INPUT:0 --outputs OUTPUT:0")],
  },
  "tf-checkpoint": { what: "a part of a TensorFlow checkpoint", cures: [tf2onnx("--checkpoint model.meta")] },
  tfjs: { what: "a TensorFlow.js model", cures: [tf2onnx("--tfjs model.json")] },
  coreml: {
    what: "a Core ML model",
    cures: ["export the network that it was converted from; nothing leads from Core ML to ONNX"],
  },
  openvino: { what: "an OpenVINO model", cures: [before] },
  tensorrt: { what: "a TensorRT engine, which is made for one GPU", cures: [before] },
  caffe: { what: "a Caffe network", cures: ["convert it together with its weights, for example with caffe2onnx"] },
  paddle: {
    what: "a PaddlePaddle model",
    cures: ["pip install paddle2onnx, then: paddle2onnx --model_dir FOLDER --save_file model.onnx"],
  },
  mxnet: { what: "an MXNet model", cures: ["export it in Python: mxnet.onnx.export_model(...)"] },
  ncnn: { what: "an ncnn model", cures: [before] },
  mnn: { what: "an MNN model", cures: [before] },
  darknet: {
    what: "a Darknet network",
    cures: ["load it in a PyTorch version of the network, then torch.onnx.export(...)"],
  },
  jpeg: media("a JPEG image"),
  png: media("a PNG image"),
  gif: media("a GIF image"),
  webp: media("a WebP image"),
  bmp: media("a BMP image"),
  tiff: media("a TIFF image"),
  avif: media("an AVIF or HEIC image"),
  psd: media("a Photoshop image"),
  video: media("a video"),
  audio: media("a sound recording"),
  pdf: media("a PDF document"),
  numpy: { what: "a NumPy array", cures: [modelWanted] },
  zip: { what: "a zip archive", cures: unpack("unzip FILE") },
  "zip-with-onnx": { what: "a zip archive with an ONNX model inside", cures: unpack("unzip FILE") },
  gzip: { what: "a gzip archive", cures: unpack("gunzip FILE, or tar xzf FILE") },
  tar: { what: "a tar archive", cures: unpack("tar xf FILE") },
  "7z": { what: "a 7z archive", cures: unpack("7z x FILE") },
  rar: { what: "a RAR archive", cures: unpack("unrar x FILE") },
  xz: { what: "an xz archive", cures: unpack("unxz FILE, or tar xJf FILE") },
  bzip2: { what: "a bzip2 archive", cures: unpack("bunzip2 FILE, or tar xjf FILE") },
  zstd: { what: "a Zstandard archive", cures: unpack("zstd -d FILE") },
  html: {
    what: "a web page, probably of a download that failed",
    cures: [
      "download the file itself: on GitHub the address with /raw/ instead of /blob/, on Hugging Face with /resolve/",
    ],
  },
  xml: { what: "an XML document, perhaps a server's error message", cures: ["read it, then download the model again"] },
  "git-lfs": {
    what: "a Git LFS pointer: the name of a file that was not fetched",
    cures: ["fetch the file itself: git lfs install && git lfs pull"],
  },
  json: { what: "a JSON file", cures: [modelWanted] },
  python: { what: "Python source text", cures: [exportFromPyTorch] },
  program: { what: "a program or a library", cures: [modelWanted] },
  text: { what: "a text file", cures: [modelWanted] },
  zeros: { what: "a file of zero bytes only, perhaps of a download that was cut off", cures: ["download it again"] },
  empty: { what: "an empty file", cures: ["download or write it again"] },
} as const satisfies Readonly<Record<string, KindOfFile>>;

export type KindName = keyof typeof kinds;
