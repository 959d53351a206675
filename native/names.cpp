// Tables of names.
#include "names.h"

#include <c10/core/Layout.h>
#include <c10/core/MemoryFormat.h>

#include <utility>

#include "errors.h"

namespace engine {
namespace {

constexpr std::pair<const char*, at::ScalarType> kElementTypes[] = {
    {"float32", at::kFloat}, {"float64", at::kDouble},        {"float16", at::kHalf}, {"bfloat16", at::kBFloat16},
    {"uint8", at::kByte},    {"int8", at::kChar},             {"int16", at::kShort},  {"int32", at::kInt},
    {"int64", at::kLong},    {"bool", at::kBool},             {"complex64", at::kComplexFloat}, {"complex128", at::kComplexDouble},
};

constexpr std::pair<const char*, at::Layout> kLayouts[] = {{"strided", at::kStrided}, {"sparse", at::kSparse}, {"mkldnn", at::kMkldnn}};

constexpr std::pair<const char*, at::MemoryFormat> kMemoryFormats[] = {
    {"contiguous_format", at::MemoryFormat::Contiguous},
    {"preserve_format", at::MemoryFormat::Preserve},
    {"channels_last", at::MemoryFormat::ChannelsLast},
    {"channels_last_3d", at::MemoryFormat::ChannelsLast3d},
};

template <class Table>
auto find(const Table& table, const std::string& name, const char* what) {
  for (const auto& [known, value] : table)
    if (name == known) return value;
  throw Error(code::kArgument, std::string("unknown ") + what + " \"" + name + "\"");
}

}  // namespace

at::ScalarType elementType(const std::string& name) { return find(kElementTypes, name, "dtype"); }

bool isElementType(const std::string& name) {
  for (const auto& [known, type] : kElementTypes)
    if (name == known) return true;
  return false;
}

std::string elementTypeName(at::ScalarType type) {
  for (const auto& [name, known] : kElementTypes)
    if (type == known) return name;
  return c10::toString(type);
}

int64_t layoutValue(const std::string& name) { return static_cast<int64_t>(find(kLayouts, name, "layout")); }
int64_t memoryFormatValue(const std::string& name) { return static_cast<int64_t>(find(kMemoryFormats, name, "memory format")); }

}  // namespace engine
