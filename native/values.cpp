// Reading and making JavaScript values.
#include "values.h"

#include <cmath>

namespace engine {

Arguments::Arguments(napi_env env, napi_callback_info info) {
  check(napi_get_cb_info(env, info, &count_, usual_, nullptr, nullptr), "arguments");
  if (count_ <= kUsual) return;
  many_.resize(count_);
  check(napi_get_cb_info(env, info, &count_, many_.data(), nullptr, nullptr), "arguments");
  values_ = many_.data();
}

napi_valuetype typeOf(napi_env env, napi_value value) {
  napi_valuetype type;
  check(napi_typeof(env, value, &type), "typeof");
  return type;
}

bool isMissing(napi_env env, napi_value value) {
  if (value == nullptr) return true;
  const napi_valuetype type = typeOf(env, value);
  return type == napi_undefined || type == napi_null;
}

bool isArray(napi_env env, napi_value value) {
  bool is = false;
  check(napi_is_array(env, value, &is), "isArray");
  return is;
}

std::string readString(napi_env env, napi_value value) {
  size_t length = 0;
  if (value == nullptr || napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok)
    throw Error(code::kArgument, "expected a string");
  std::string text(length, '\0');
  check(napi_get_value_string_utf8(env, value, &text[0], length + 1, &length), "string");
  return text;
}

int64_t readInt(napi_env env, napi_value value) {
  double number;
  if (value != nullptr && napi_get_value_double(env, value, &number) == napi_ok) {
    // The comparison also refuses NaN; the bounds keep the conversion defined.
    if (!(number >= -9.2e18 && number <= 9.2e18) || number != std::trunc(number))
      throw Error(code::kArgument, "expected an integer, got " + std::to_string(number));
    return static_cast<int64_t>(number);
  }
  int64_t integer;
  bool lossless = false;
  if (value != nullptr && napi_get_value_bigint_int64(env, value, &integer, &lossless) == napi_ok) {
    if (!lossless) throw Error(code::kArgument, "expected an integer of 64 bits, got a longer bigint");
    return integer;
  }
  throw Error(code::kArgument, "expected an integer");
}

double readDouble(napi_env env, napi_value value) {
  double number;
  if (value != nullptr && napi_get_value_double(env, value, &number) == napi_ok) return number;
  int64_t integer;
  bool lossless = false;
  if (value != nullptr && napi_get_value_bigint_int64(env, value, &integer, &lossless) == napi_ok)
    return static_cast<double>(integer);
  throw Error(code::kArgument, "expected a number");
}

bool readBool(napi_env env, napi_value value) {
  bool truth;
  if (value == nullptr || napi_get_value_bool(env, value, &truth) != napi_ok) throw Error(code::kArgument, "expected a boolean");
  return truth;
}

bool readBoolOr(napi_env env, napi_value value, bool otherwise) {
  return isMissing(env, value) ? otherwise : readBool(env, value);
}

uint32_t readLength(napi_env env, napi_value array) {
  uint32_t length;
  if (array == nullptr || napi_get_array_length(env, array, &length) != napi_ok) throw Error(code::kArgument, "expected an array");
  return length;
}

napi_value element(napi_env env, napi_value array, uint32_t i) {
  napi_value value;
  check(napi_get_element(env, array, i, &value), "array element");
  return value;
}

std::vector<int64_t> readInts(napi_env env, napi_value array) {
  const uint32_t length = readLength(env, array);
  std::vector<int64_t> integers;
  integers.reserve(length);
  for (uint32_t i = 0; i < length; i++) integers.push_back(readInt(env, element(env, array, i)));
  return integers;
}

napi_value makeUndefined(napi_env env) {
  napi_value value;
  check(napi_get_undefined(env, &value), "undefined");
  return value;
}

napi_value makeNull(napi_env env) {
  napi_value value;
  check(napi_get_null(env, &value), "null");
  return value;
}

napi_value makeString(napi_env env, const std::string& text) {
  napi_value value;
  check(napi_create_string_utf8(env, text.data(), text.size(), &value), "string");
  return value;
}

napi_value makeBool(napi_env env, bool truth) {
  napi_value value;
  check(napi_get_boolean(env, truth, &value), "boolean");
  return value;
}

napi_value makeDouble(napi_env env, double number) {
  napi_value value;
  check(napi_create_double(env, number, &value), "number");
  return value;
}

napi_value makeInt(napi_env env, int64_t integer) {
  constexpr int64_t kExact = int64_t{1} << 53;
  if (integer > -kExact && integer < kExact) return makeDouble(env, static_cast<double>(integer));
  napi_value value;
  check(napi_create_bigint_int64(env, integer, &value), "bigint");
  return value;
}

void setProperty(napi_env env, napi_value object, const char* name, napi_value value) {
  check(napi_set_named_property(env, object, name, value), name);
}

Bytes readTypedArray(napi_env env, napi_value value) {
  Bytes bytes;
  if (value == nullptr ||
      napi_get_typedarray_info(env, value, &bytes.type, &bytes.length, &bytes.data, &bytes.buffer, &bytes.offset) != napi_ok)
    throw Error(code::kArgument, "expected a typed array");
  static constexpr size_t kSizes[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};
  const size_t type = static_cast<size_t>(bytes.type);
  if (type >= sizeof(kSizes) / sizeof(kSizes[0])) throw Error(code::kArgument, "this kind of typed array is not supported");
  bytes.byteLength = bytes.length * kSizes[type];
  return bytes;
}

}  // namespace engine
