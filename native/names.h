// Names of element types, layouts and memory formats, as JavaScript writes them.
#pragma once
#include <c10/core/ScalarType.h>

#include <string>

namespace engine {

at::ScalarType elementType(const std::string& name);  // "float32" -> kFloat; throws on unknown names
bool isElementType(const std::string& name);
std::string elementTypeName(at::ScalarType type);
int64_t layoutValue(const std::string& name);        // "strided", "sparse", "mkldnn"
int64_t memoryFormatValue(const std::string& name);  // "contiguous_format", "preserve_format", "channels_last", "channels_last_3d"

}  // namespace engine
