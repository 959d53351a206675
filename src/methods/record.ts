// What the nodes of a graph say of its layers over a basis, as a file records it.
export {
  attributesFromJson,
  attributesToJson,
  type CompressionRecord,
  type LayerRecord,
  recordKey,
  recordOf as readRecord,
} from "../passes/compression-record.js";
