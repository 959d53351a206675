// Gradients.
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "convert.h"
#include "handle.h"
#include "module.h"
#include "values.h"

namespace engine {
namespace {

// (outputs, output gradients?, retain graph?, create graph?): adds to the leaves' gradients
napi_value backward(napi_env env, napi_callback_info info) {
  return guard(env, [&] {
    const Arguments given(env, info);
    const bool create = readBoolOr(env, given[3], false);
    torch::autograd::backward(readTensors(env, given[0]), readTensors(env, given[1]), readBoolOr(env, given[2], create), create);
    return makeUndefined(env);
  });
}

// (outputs, inputs, output gradients?, retain graph?, create graph?, allow unused?): the gradients of the inputs, null for unused ones
napi_value gradients(napi_env env, napi_callback_info info) {
  return guard(env, [&] {
    const Arguments given(env, info);
    const bool create = readBoolOr(env, given[4], false);
    const auto found = torch::autograd::grad(readTensors(env, given[0]), readTensors(env, given[1]), readTensors(env, given[2]),
                                             readBoolOr(env, given[3], create), create, readBoolOr(env, given[5], false));
    napi_value array;
    check(napi_create_array_with_length(env, found.size(), &array), "array");
    for (size_t i = 0; i < found.size(); i++) check(napi_set_element(env, array, i, wrap(env, found[i])), "array element");
    return array;
  });
}

napi_value getGradient(napi_env env, napi_callback_info info) {
  return guard(env, [&] {
    const Arguments given(env, info);
    return wrap(env, readTensor(env, given[0]).grad());
  });
}

napi_value setGradient(napi_env env, napi_callback_info info) {  // (tensor, gradient | null)
  return guard(env, [&] {
    const Arguments given(env, info);
    const at::Tensor& tensor = readTensor(env, given[0]);
    const at::Tensor gradient = isMissing(env, given[1]) ? at::Tensor() : readTensor(env, given[1]);
    // What PyTorch's Python binding checks and libtorch does not.
    if (gradient.defined() && (gradient.sizes() != tensor.sizes() || gradient.scalar_type() != tensor.scalar_type() || gradient.device() != tensor.device()))
      throw Error(code::kArgument, "a gradient needs the shape, dtype and device of its tensor");
    if (gradient.defined() && gradient.is_same(tensor)) throw Error(code::kArgument, "a tensor cannot be its own gradient");
    tensor.mutable_grad() = gradient;
    return makeUndefined(env);
  });
}

napi_value requiresGrad(napi_env env, napi_callback_info info) {  // (tensor, value?)
  return guard(env, [&] {
    const Arguments given(env, info);
    const at::Tensor& tensor = readTensor(env, given[0]);
    if (!isMissing(env, given[1])) {
      const bool wanted = readBool(env, given[1]);
      if (!tensor.is_leaf() && !wanted) throw Error(code::kArgument, "only a leaf can stop requiring gradients: use detach");
      tensor.set_requires_grad(wanted);
    }
    return makeBool(env, tensor.requires_grad());
  });
}

napi_value isLeaf(napi_env env, napi_callback_info info) {
  return guard(env, [&] {
    const Arguments given(env, info);
    return makeBool(env, readTensor(env, given[0]).is_leaf());
  });
}

napi_value setGradEnabled(napi_env env, napi_callback_info info) {  // (enabled): what it was, for this thread
  return guard(env, [&] {
    const Arguments given(env, info);
    const bool before = c10::GradMode::is_enabled();
    c10::GradMode::set_enabled(readBool(env, given[0]));
    return makeBool(env, before);
  });
}

}  // namespace

void defineAutograd(napi_env env, napi_value exports) {
  define(env, exports, "backward", backward);
  define(env, exports, "gradients", gradients);
  define(env, exports, "getGradient", getGradient);
  define(env, exports, "setGradient", setGradient);
  define(env, exports, "requiresGrad", requiresGrad);
  define(env, exports, "isLeaf", isLeaf);
  define(env, exports, "setGradEnabled", setGradEnabled);
}

}  // namespace engine
