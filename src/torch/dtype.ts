// Names of element types and memory layouts, as libtorch's Python users know them.
export type DType =
  | "float32"
  | "float64"
  | "float16"
  | "bfloat16"
  | "uint8"
  | "int8"
  | "int16"
  | "int32"
  | "int64"
  | "bool"
  | "complex64"
  | "complex128";

export type MemoryFormat = "contiguous_format" | "preserve_format" | "channels_last" | "channels_last_3d";
