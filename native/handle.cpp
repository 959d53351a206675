// The life of a tensor handle.
#include "handle.h"

#include <atomic>
#include <memory>

#include "values.h"

namespace engine {
namespace {

constexpr int64_t kWorthTelling = 1024;

std::atomic<int64_t> live{0};  // of the whole process: threads included

void giveBack(FinalizeEnv env, Handle& handle) {
  if (!handle.tensor.defined()) return;
  handle.tensor.reset();
  live.fetch_sub(1, std::memory_order_relaxed);
  if (handle.bytes == 0) return;
  int64_t now;
  napi_adjust_external_memory(env, -handle.bytes, &now);
  handle.bytes = 0;
}

void finalize(FinalizeEnv env, void* data, void*) {
  std::unique_ptr<Handle> handle(static_cast<Handle*>(data));
  giveBack(env, *handle);
  handle->magic = 0;
}

}  // namespace

napi_value makeEmptyHandle(napi_env env) {
  auto handle = std::make_unique<Handle>();
  napi_value value;
  check(napi_create_external(env, handle.get(), finalize, nullptr, &value), "external");
  handle.release();  // the finalizer owns it from here
  return value;
}

void fillHandle(napi_env env, Handle& handle, at::Tensor tensor) {
  if (handle.tensor.defined()) throw Error(code::kInternal, "the handle is in use");
  // A storage counts once: its views and aliases add nothing. Small ones are not worth the telling.
  if (tensor.has_storage() && tensor.storage().use_count() == 1) {
    const auto bytes = static_cast<int64_t>(tensor.storage().nbytes());
    if (bytes >= kWorthTelling) handle.bytes = bytes;
  }
  handle.tensor = std::move(tensor);
  live.fetch_add(1, std::memory_order_relaxed);
  if (handle.bytes == 0) return;
  int64_t now;
  napi_adjust_external_memory(env, handle.bytes, &now);
}

napi_value wrap(napi_env env, at::Tensor tensor) {
  if (!tensor.defined()) return makeNull(env);
  napi_value value = makeEmptyHandle(env);
  fillHandle(env, readHandle(env, value), std::move(tensor));
  return value;
}

const at::Tensor* findTensor(napi_env env, napi_value value) {
  void* data = nullptr;
  if (napi_get_value_external(env, value, &data) != napi_ok || data == nullptr) return nullptr;
  const auto* handle = static_cast<Handle*>(data);
  return handle->magic == Handle::kMagic && handle->tensor.defined() ? &handle->tensor : nullptr;
}

Handle& readHandle(napi_env env, napi_value value) {
  void* data = nullptr;
  if (value == nullptr || napi_get_value_external(env, value, &data) != napi_ok) throw Error(code::kArgument, "expected a tensor");
  auto* handle = static_cast<Handle*>(data);
  if (handle == nullptr || handle->magic != Handle::kMagic) throw Error(code::kForeign, "expected a tensor of this engine, got a foreign object");
  return *handle;
}

const at::Tensor& readTensor(napi_env env, napi_value value) {
  const Handle& handle = readHandle(env, value);
  if (!handle.tensor.defined()) throw Error(code::kDisposed, "the tensor was disposed");
  return handle.tensor;
}

std::vector<at::Tensor> readTensors(napi_env env, napi_value array) {
  std::vector<at::Tensor> tensors;
  if (isMissing(env, array)) return tensors;
  const uint32_t length = readLength(env, array);
  tensors.reserve(length);
  for (uint32_t i = 0; i < length; i++) {
    napi_value value = element(env, array, i);
    tensors.push_back(isMissing(env, value) ? at::Tensor() : readTensor(env, value));
  }
  return tensors;
}

void dispose(napi_env env, Handle& handle) { giveBack(env, handle); }

int64_t liveTensors() { return live.load(std::memory_order_relaxed); }

}  // namespace engine
