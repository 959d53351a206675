// In a page the runtime is WebAssembly, or WebGPU beside it: neither computes channels in blocks that are padded.

export const channelBlock = (): number => 1;
