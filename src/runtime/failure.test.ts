// What ONNX Runtime 1.30 said, word for word, and the errors that are made of it.
import { describe, expect, test } from "vitest";
import { openFailure, runFailure, runtimeText } from "./failure.js";

const open = (words: string) => openFailure(new Error(words), "node", { file: "m.onnx" });
const run = (words: string) => runFailure(new Error(words), "node", { file: "m.onnx" });
const esc = String.fromCharCode(27);

describe("a model that cannot be opened", () => {
  test.each([
    [
      "an operator of a foreign domain",
      "Load model from /a/b.onnx failed:Fatal error: onnx.brevitas:Quant(-1) is not a registered function/op",
      { op: "Quant" },
      "ONNX Runtime has no operator Quant of domain onnx.brevitas",
    ],
    [
      "an operator that is not in ONNX",
      'This is an invalid model. In Node, ("n/1", NoSuch, "", -1) : ("x": tensor(float),) -> ("y": tensor(float),) , Error No Op registered for NoSuch with domain_version of 17',
      { op: "NoSuch", node: "n/1" },
      "ONNX Runtime has no operator NoSuch of domain ai.onnx",
    ],
    [
      "a domain that the model does not import",
      'This is an invalid model. In Node, ("", Foo, "my.dom", -1) : ("x": tensor(float),) -> ("y": tensor(float),) , Error No opset import for domain \'my.dom\'',
      { op: "Foo" },
      "ONNX Runtime has no operator Foo of domain my.dom",
    ],
    [
      "an operator without a kernel for the type",
      "Can't create a session. ERROR_CODE: 9, ERROR_MESSAGE: Could not find an implementation for LRN(13) node with name 'lrn'",
      { op: "LRN", node: "lrn" },
      "ONNX Runtime has no implementation of LRN (version 13) for these element types",
    ],
    [
      "an operator that was taken out of ONNX",
      'This is an invalid model. In Node, ("up", Upsample, "", -1) : ("x": tensor(float),) -> ("y": tensor(float),) , Error Op registered for Upsample is deprecated in domain_version of 17',
      { op: "Upsample" },
      "operator Upsample no longer exists in the model's opset",
    ],
    [
      "an opset of the future",
      "/onnxruntime_src/onnxruntime/core/graph/model_load_utils.h:46 void onnxruntime::model_load_utils::ValidateOpsetForDomain(const std::unordered_map<std::__cxx11::basic_string<char>, int>&, const onnxruntime::logging::Logger&, bool, const std::string&, int) ONNX Runtime only *guarantees* support for models stamped with official released onnx opset versions. Opset 99 is under development and support for this is limited. The operator schemas and or other functionality may change before next ONNX release and in this case ONNX Runtime will not guarantee backward compatibility. Current official support for domain ai.onnx is till opset 26.\n",
      {},
      "the model's opset of domain ai.onnx is newer than this ONNX Runtime knows",
    ],
    [
      "an IR version of the future",
      "Can't create a session. ERROR_CODE: 1, ERROR_MESSAGE: /mnt/azure_nvme_temp/_work/1/s/onnxruntime/core/graph/model.cc:203 onnxruntime::Model::Model(ModelProto &&, const PathString &) Unsupported model IR version: 99, max supported IR version: 13\n",
      {},
      "the model's IR version is newer than this ONNX Runtime knows",
    ],
  ])("%s is unsupported, with a way out", (_, words, place, problem) => {
    const error = open(words);
    expect(error).toMatchObject({ code: "unsupported", problem, place: { file: "m.onnx", ...place } });
    expect(error.cures.length).toBeGreaterThan(0);
    expect(error.cause).toBeInstanceOf(Error);
  });

  test("a domain that nobody knows is named in the cure, a missing operator of ONNX is not told to be an extension", () => {
    expect(open("Fatal error: my.dom:Foo(-1) is not a registered function/op").cures[0]).toContain("my.dom");
    expect(open("Fatal error: com.microsoft:Foo(-1) is not a registered function/op").cures[0]).not.toContain(
      "extension",
    );
  });

  test("what is wrong in the model itself stays the runtime's refusal and names the node", () => {
    expect(
      open("Node (sm) Op (Softmax) [ShapeInferenceError] 'axis' must be in [-4 , 3]. Its actual value is: 9"),
    ).toMatchObject({
      code: "runtime",
      place: { node: "sm", op: "Softmax" },
    });
    expect(
      open(
        "This is an invalid model. Type Error: Type 'tensor(int64)' of input parameter (x) of operator (Conv) in node (cc) is invalid.",
      ),
    ).toMatchObject({ code: "runtime", place: { node: "cc", op: "Conv" } });
    expect(
      open(
        'This is an invalid model. In Node, ("cat", Concat, "", -1) : ("x": tensor(float),) -> ("y": tensor(float),) , Error Required attribute \'axis\' is missing.',
      ),
    ).toMatchObject({ code: "runtime", place: { node: "cat", op: "Concat" } });
    expect(open("something new").message).toBe('file "m.onnx": ONNX Runtime (node) refuses the model: something new');
  });
});

describe("a run that fails", () => {
  test("names the node and says why, without the place in the runtime's source", () => {
    const words =
      "Non-zero status code returned while running MatMul node. Name:'mm' Status Message: matmul_helper.h:59 Compute MatMul dimension mismatch";
    const error = run(words);
    expect(error).toMatchObject({ code: "runtime", place: { node: "mm", op: "MatMul" } });
    expect(error.problem).toBe("ONNX Runtime (node) cannot run this: Compute MatMul dimension mismatch");
  });

  test("says that memory was short, and what helps", () => {
    const words =
      "Non-zero status code returned while running Expand node. Name:'ex' Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:360 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 40000000000000\n";
    const error = run(words);
    expect(error).toMatchObject({ code: "too-large", place: { node: "ex" }, expected: "40000000000000 bytes more" });
    expect(error.cures[0]).toContain("--input");
  });
});

test.each([
  [
    `${esc}[1;31m2026-01-01 [E:onnxruntime:, sequential_executor.cc:671 ExecuteKernel] Bad${esc}[m\n`,
    "2026-01-01 [E:onnxruntime:, ExecuteKernel] Bad",
  ],
  [
    "failed to call OrtRun(). ERROR_CODE: 2, ERROR_MESSAGE: Got invalid dimensions for input: x for the following indices\n index: 3 Got: 9 Expected: 8\n",
    "Got invalid dimensions for input: x for the following indices index: 3 Got: 9 Expected: 8",
  ],
  [
    "/onnxruntime_src/onnxruntime/core/graph/model.cc:202 onnxruntime::Model::Model(onnx::ModelProto&&, const onnxruntime::ModelOptions&) Unsupported model IR version: 99\n",
    "Unsupported model IR version: 99",
  ],
  [
    "C:\\src\\core\\framework\\op_kernel.cc:83 virtual OrtValue *onnxruntime::OpKernelContext::OutputMLValue(int, const TensorShape &) [ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Tensor shape is too large\n",
    "Tensor shape is too large",
  ],
])("no escape codes, paths of sources or signatures remain: %j", (words, plain) => {
  expect(runtimeText(new Error(words))).toBe(plain);
});
