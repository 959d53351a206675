// Small readers and makers of JavaScript values; every reader throws an engine::Error that says what it expected.
#pragma once
#include <node_api.h>

#include <cstdint>
#include <string>
#include <vector>

#include "errors.h"

namespace engine {

// The arguments of one callback.
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info);
  size_t size() const { return count_; }
  // The value at a place, or nullptr where there is none.
  napi_value operator[](size_t i) const { return i < count_ ? values_[i] : nullptr; }

 private:
  static constexpr size_t kUsual = 20;  // a convolution with its lists written out; Node-API fills all places that it is given
  size_t count_ = kUsual;
  napi_value usual_[kUsual];
  std::vector<napi_value> many_;
  napi_value* values_ = usual_;
};

napi_valuetype typeOf(napi_env env, napi_value value);
bool isMissing(napi_env env, napi_value value);  // nullptr, undefined or null
bool isArray(napi_env env, napi_value value);

std::string readString(napi_env env, napi_value value);
int64_t readInt(napi_env env, napi_value value);
double readDouble(napi_env env, napi_value value);
bool readBool(napi_env env, napi_value value);
bool readBoolOr(napi_env env, napi_value value, bool otherwise);
uint32_t readLength(napi_env env, napi_value array);
napi_value element(napi_env env, napi_value array, uint32_t i);
std::vector<int64_t> readInts(napi_env env, napi_value array);

napi_value makeUndefined(napi_env env);
napi_value makeNull(napi_env env);
napi_value makeString(napi_env env, const std::string& text);
napi_value makeBool(napi_env env, bool value);
napi_value makeDouble(napi_env env, double value);
napi_value makeInt(napi_env env, int64_t value);  // a number, or a bigint beyond 2^53
void setProperty(napi_env env, napi_value object, const char* name, napi_value value);

// A typed array's memory. It stays valid until JavaScript runs again.
struct Bytes {
  napi_typedarray_type type;
  size_t length;      // elements
  size_t byteLength;
  void* data;
  napi_value buffer;  // the ArrayBuffer below
  size_t offset;      // bytes into it
};
Bytes readTypedArray(napi_env env, napi_value value);

}  // namespace engine
