// A tensor as JavaScript holds it: an external value that owns one reference, given back early by dispose or late by the collector.
#pragma once
#include <ATen/core/Tensor.h>
#include <node_api.h>

#include <vector>

#include "errors.h"

namespace engine {

#ifdef NAPI_EXPERIMENTAL
// Finalizers then run inside the collection, not on a later turn of the event loop: a synchronous loop that never disposes stays bounded.
using FinalizeEnv = node_api_basic_env;
#else
using FinalizeEnv = napi_env;
#endif

struct Handle {
  static constexpr uint64_t kMagic = 0x66696c7462617369;  // tells our externals from those of other addons
  uint64_t magic = kMagic;
  at::Tensor tensor;
  int64_t bytes = 0;  // what V8 was told of memory outside its heap
};

// A new handle; null for an undefined tensor.
napi_value wrap(napi_env env, at::Tensor tensor);
// An empty handle, to be filled by a call. Handles of disposed tensors serve again: making one costs more than a small operator.
napi_value makeEmptyHandle(napi_env env);
void fillHandle(napi_env env, Handle& handle, at::Tensor tensor);

Handle& readHandle(napi_env env, napi_value value);              // may be disposed
const at::Tensor& readTensor(napi_env env, napi_value value);    // must be alive
const at::Tensor* findTensor(napi_env env, napi_value value);    // nullptr for what is no tensor of ours, or not alive
std::vector<at::Tensor> readTensors(napi_env env, napi_value array);  // missing: empty; null elements: undefined tensors

void dispose(napi_env env, Handle& handle);
int64_t liveTensors();

}  // namespace engine
