// What was done to a model, layer by layer, as its nodes say it.
export {
  attributesFromJson,
  attributesToJson,
  type CompressionRecord,
  recordKey,
  recordOf as readRecord,
  type SiteRecord,
} from "../passes/compression-record.js";
