// What a tensor says about itself, and giving it back.
#include <ATen/ATen.h>

#include "handle.h"
#include "module.h"
#include "names.h"
#include "values.h"

namespace engine {
namespace {

napi_value shape(napi_env env, napi_callback_info info) {
  return guard(env, [&] {
    const Arguments given(env, info);
    const auto sizes = readTensor(env, given[0]).sizes();
    napi_value array;
    check(napi_create_array_with_length(env, sizes.size(), &array), "array");
    for (size_t i = 0; i < sizes.size(); i++) check(napi_set_element(env, array, i, makeInt(env, sizes[i])), "array element");
    return array;
  });
}

napi_value dtype(napi_env env, napi_callback_info info) {
  return guard(env, [&] {
    const Arguments given(env, info);
    return makeString(env, elementTypeName(readTensor(env, given[0]).scalar_type()));
  });
}

napi_value device(napi_env env, napi_callback_info info) {
  return guard(env, [&] {
    const Arguments given(env, info);
    return makeString(env, readTensor(env, given[0]).device().str());
  });
}

napi_value dataPointer(napi_env env, napi_callback_info info) {  // an identity: tells views and shared weights
  return guard(env, [&] {
    const Arguments given(env, info);
    napi_value value;
    check(napi_create_bigint_uint64(env, reinterpret_cast<uint64_t>(readTensor(env, given[0]).data_ptr()), &value), "bigint");
    return value;
  });
}

napi_value item(napi_env env, napi_callback_info info) {  // the number in a tensor of one element
  return guard(env, [&] {
    const Arguments given(env, info);
    const at::Scalar scalar = readTensor(env, given[0]).item();
    if (scalar.isBoolean()) return makeBool(env, scalar.toBool());
    if (scalar.isIntegral(false)) return makeInt(env, scalar.toLong());
    return makeDouble(env, scalar.toDouble());
  });
}

napi_value emptyHandle(napi_env env, napi_callback_info) {
  return guard(env, [&] { return makeEmptyHandle(env); });
}

napi_value disposeOne(napi_env env, napi_callback_info info) {
  return guard(env, [&]() -> napi_value {
    size_t count = 1;
    napi_value handle;
    check(napi_get_cb_info(env, info, &count, &handle, nullptr, nullptr), "arguments");
    dispose(env, readHandle(env, handle));
    return nullptr;  // undefined, without asking for it: this is called as often as any operator
  });
}

napi_value disposeAll(napi_env env, napi_callback_info info) {  // (handles)
  return guard(env, [&] {
    const Arguments given(env, info);
    const uint32_t length = readLength(env, given[0]);
    for (uint32_t i = 0; i < length; i++) dispose(env, readHandle(env, element(env, given[0], i)));
    return makeUndefined(env);
  });
}

napi_value isDisposed(napi_env env, napi_callback_info info) {
  return guard(env, [&] {
    const Arguments given(env, info);
    return makeBool(env, !readHandle(env, given[0]).tensor.defined());
  });
}

napi_value live(napi_env env, napi_callback_info) {
  return guard(env, [&] { return makeInt(env, liveTensors()); });
}

}  // namespace

void defineTensors(napi_env env, napi_value exports) {
  define(env, exports, "shape", shape);
  define(env, exports, "dtype", dtype);
  define(env, exports, "device", device);
  define(env, exports, "dataPointer", dataPointer);
  define(env, exports, "item", item);
  define(env, exports, "emptyHandle", emptyHandle);
  define(env, exports, "dispose", disposeOne);
  define(env, exports, "disposeAll", disposeAll);
  define(env, exports, "isDisposed", isDisposed);
  define(env, exports, "liveTensors", live);
}

}  // namespace engine
