// In the place of onnxruntime-node: importing it fails, so that WebAssembly is taken.
throw new Error("a page has no onnxruntime-node");
