// Operators that change lists of tensors in place by one number and give nothing: _foreach_add_, _foreach_mul_, _foreach_addcdiv_.
// Optimisers call them on all parameters at once. They are called unboxed: boxes copy every list twice, element by element.
#pragma once
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <array>
#include <functional>
#include <vector>

namespace engine {

using TensorLists = std::array<std::vector<at::Tensor>, 3>;

struct OverLists {
  size_t count = 0;  // of lists, before the number; 0 for operators of any other form
  std::function<void(const TensorLists&, const at::Scalar&)> call;
};

OverLists overLists(const c10::OperatorHandle& handle);

}  // namespace engine
