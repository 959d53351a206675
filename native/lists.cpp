// Which operators work over lists, and their unboxed calls.
#include "lists.h"

#include <algorithm>

namespace engine {
namespace {

using c10::TypeKind;

// (Tensor(a!)[], Tensor[] ..., Scalar) -> (): how many lists; 0 for any other form.
size_t listsOf(const c10::FunctionSchema& schema) {
  const auto& arguments = schema.arguments();
  if (!schema.returns().empty() || arguments.size() < 2 || arguments.back().type()->kind() != TypeKind::NumberType) return 0;
  const auto isList = [](const c10::Argument& argument) { return argument.type()->isSubtypeOf(*c10::ListType::ofTensors()); };
  return std::all_of(arguments.begin(), arguments.end() - 1, isList) ? arguments.size() - 1 : 0;
}

template <class... Lists>
auto typed(const c10::OperatorHandle& handle) {
  return handle.typed<void(Lists..., const at::Scalar&)>();  // throws where the kernel's own signature is another
}

OverLists unboxed(const c10::OperatorHandle& handle) {
  using List = at::TensorList;
  switch (listsOf(handle.schema())) {
    case 1: return {1, [op = typed<List>(handle)](const TensorLists& l, const at::Scalar& x) { op.call(l[0], x); }};
    case 2: return {2, [op = typed<List, List>(handle)](const TensorLists& l, const at::Scalar& x) { op.call(l[0], l[1], x); }};
    case 3: return {3, [op = typed<List, List, List>(handle)](const TensorLists& l, const at::Scalar& x) { op.call(l[0], l[1], l[2], x); }};
    default: return {};
  }
}

}  // namespace

OverLists overLists(const c10::OperatorHandle& handle) {
  // Only libtorch's own: whether a stranger's kernel has this signature could not be checked.
  if (handle.operator_name().name.rfind("aten::_foreach_", 0) != 0) return {};
  try {
    return unboxed(handle);
  } catch (const c10::Error&) {
    return {};  // another libtorch, another signature: boxed, as all others
  }
}

}  // namespace engine
