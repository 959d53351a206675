// What was done to a model, layer by layer, as its nodes say it.
export {
  attributesFromJson,
  attributesToJson,
  type CompressionRecord,
  type LayerRecord,
  recordKey,
  recordOf as readRecord,
} from "../passes/compression-record.js";
