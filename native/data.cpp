// Typed arrays to tensors and back.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cstring>
#include <memory>

#include "handle.h"
#include "module.h"
#include "names.h"
#include "values.h"

namespace engine {
namespace {

at::ScalarType naturalType(napi_typedarray_type type) {
  switch (type) {
    case napi_float32_array: return at::kFloat;
    case napi_float64_array: return at::kDouble;
    case napi_uint8_array:
    case napi_uint8_clamped_array: return at::kByte;
    case napi_int8_array: return at::kChar;
    case napi_int16_array: return at::kShort;
    case napi_int32_array: return at::kInt;
    case napi_bigint64_array: return at::kLong;
    default: throw Error(code::kArgument, "this kind of typed array needs a dtype that says what its elements are");
  }
}

// On a GPU the elements come through pinned memory, so that the copy runs beside the kernels already queued; libtorch keeps that memory until it has been read.
at::Tensor moved(napi_env env, at::Tensor tensor, napi_value device) {
  if (isMissing(env, device)) return tensor;
  const c10::Device where(readString(env, device));
  return where.is_cpu() ? tensor : tensor.to(where, tensor.scalar_type(), /*non_blocking=*/true);
}

bool goesToCuda(napi_env env, napi_value device) { return !isMissing(env, device) && c10::Device(readString(env, device)).is_cuda(); }

// (typed array, shape, dtype?, device?): a tensor with a copy of the elements. A dtype of the same size reads the same bytes anew: bool from uint8, bfloat16 from uint16.
napi_value fromTypedArray(napi_env env, napi_callback_info info) {
  return guard(env, [&] {
    const Arguments given(env, info);
    const Bytes bytes = readTypedArray(env, given[0]);
    const std::vector<int64_t> shape = readInts(env, given[1]);
    const at::ScalarType type = isMissing(env, given[2]) ? naturalType(bytes.type) : elementType(readString(env, given[2]));
    const size_t elementSize = bytes.length == 0 ? c10::elementSize(type) : bytes.byteLength / bytes.length;
    if (c10::elementSize(type) != elementSize) throw Error(code::kArgument, "the dtype's size differs from that of the array's elements");
    double elements = 1;  // as a float: a product of large sizes must not wrap around to the right one
    for (const int64_t size : shape) {
      if (size < 0) throw Error(code::kArgument, "a size in the shape is negative");
      elements *= static_cast<double>(size);
    }
    if (elements != static_cast<double>(bytes.length))
      throw Error(code::kArgument, "the shape needs " + std::to_string(static_cast<int64_t>(elements)) + " elements, the array has " + std::to_string(bytes.length));
    at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(type).pinned_memory(goesToCuda(env, given[3])));
    if (bytes.byteLength > 0) std::memcpy(tensor.data_ptr(), bytes.data, bytes.byteLength);
    return wrap(env, moved(env, std::move(tensor), given[3]));
  });
}

// Where the elements of a dense tensor on the CPU lie. Some have none: zeros that exist in name only, and storages that were resized away.
void* elementsOf(const at::Tensor& tensor) {
  void* data = tensor.data_ptr();
  if (data == nullptr) throw Error(code::kArgument, "the tensor has no elements in memory");
  return data;
}

// (tensor, typed array): the tensor's elements in order, copied into the array.
napi_value copyTo(napi_env env, napi_callback_info info) {
  return guard(env, [&] {
    const Arguments given(env, info);
    const c10::NoGradGuard noGrad;
    at::Tensor tensor = readTensor(env, given[0]).detach();
    if (tensor.is_neg() || tensor.is_conj()) tensor = tensor.resolve_neg().resolve_conj();
    tensor = tensor.to(at::kCPU).contiguous();
    const Bytes bytes = readTypedArray(env, given[1]);
    if (bytes.byteLength != tensor.nbytes())
      throw Error(code::kArgument, "the tensor has " + std::to_string(tensor.nbytes()) + " bytes, the array " + std::to_string(bytes.byteLength));
    if (bytes.byteLength > 0) std::memcpy(bytes.data, elementsOf(tensor), bytes.byteLength);
    return makeUndefined(env);
  });
}

// (tensor): an ArrayBuffer on the tensor's own memory, which lives as long as either of them. No copy, in both directions.
napi_value memory(napi_env env, napi_callback_info info) {
  return guard(env, [&] {
    const Arguments given(env, info);
    const at::Tensor& tensor = readTensor(env, given[0]);
    if (!tensor.device().is_cpu() || tensor.layout() != at::kStrided || !tensor.is_contiguous() || tensor.is_neg() || tensor.is_conj())
      throw Error(code::kArgument, "only the elements of a contiguous tensor on the CPU can be shared");
    napi_value buffer;
    if (tensor.nbytes() == 0) {
      check(napi_create_arraybuffer(env, 0, nullptr, &buffer), "array buffer");
      return buffer;
    }
    auto owner = std::make_unique<at::Tensor>(tensor.detach());
    const auto release = [](FinalizeEnv, void*, void* hint) { delete static_cast<at::Tensor*>(hint); };
    check(napi_create_external_arraybuffer(env, elementsOf(*owner), owner->nbytes(), release, owner.get(), &buffer), "external array buffer");
    owner.release();
    return buffer;
  });
}

}  // namespace

void defineData(napi_env env, napi_value exports) {
  define(env, exports, "fromTypedArray", fromTypedArray);
  define(env, exports, "copyTo", copyTo);
  define(env, exports, "memory", memory);
}

}  // namespace engine
