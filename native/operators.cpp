// Looking operators up and calling them boxed.
#include "operators.h"

#include <algorithm>
#include <map>
#include <memory>
#include <sstream>

#include "convert.h"
#include "handle.h"
#include "module.h"

namespace engine {
namespace {

bool writesOut(const c10::OperatorHandle& handle) {
  const auto& arguments = handle.schema().arguments();
  return std::any_of(arguments.begin(), arguments.end(), [](const c10::Argument& a) { return a.is_out(); });
}

// Overloads of every name, those with fewer surprises first: the unnamed one, then tensors before scalars, dimensions by name last.
// Those that write into `out` are called by their own name only.
const std::vector<c10::OperatorHandle>& overloadsOf(const std::string& name) {
  static const auto table = [] {
    std::map<std::string, std::vector<c10::OperatorHandle>> all;
    for (const auto& id : c10::Dispatcher::singleton().getAllOpNames()) {
      auto handle = c10::Dispatcher::singleton().findSchema(id);
      if (handle && !writesOut(*handle)) all[id.name].push_back(*handle);
    }
    const auto rank = [](const c10::OperatorHandle& handle) {
      const std::string& overload = handle.operator_name().overload_name;
      return overload.empty() ? 0 : overload == "Tensor" ? 1 : overload.find("Dimname") != std::string::npos ? 3 : 2;
    };
    for (auto& [key, handles] : all)
      std::stable_sort(handles.begin(), handles.end(), [&](const auto& a, const auto& b) {
        const int x = rank(a), y = rank(b);
        return x != y ? x < y : a.operator_name().overload_name < b.operator_name().overload_name;
      });
    return all;
  }();
  static const std::vector<c10::OperatorHandle> none;
  const auto found = table.find(name);
  return found == table.end() ? none : found->second;
}

napi_value find(napi_env env, napi_callback_info info) {  // (name, overload?): an operator; without an overload its arguments choose
  return guard(env, [&] {
    const Arguments given(env, info);
    const std::string name = readString(env, given[0]);
    auto op = std::make_unique<Operator>();
    if (isMissing(env, given[1])) {
      for (const c10::OperatorHandle& handle : overloadsOf(name)) op->plans.emplace_back(handle);
    } else {
      auto handle = c10::Dispatcher::singleton().findSchema({name, readString(env, given[1])});
      if (handle) op->plans.emplace_back(*handle);
    }
    if (op->plans.empty()) throw Error(code::kUnknown, "libtorch has no operator of this name");
    napi_value value;
    check(napi_create_external(env, op.get(), [](FinalizeEnv, void* data, void*) { delete static_cast<Operator*>(data); }, nullptr, &value),
          "external");
    op.release();
    return value;
  });
}

// The stack of this thread, kept for its memory; emptied at the end of the call, whatever happens.
class BorrowedStack {
 public:
  BorrowedStack() : stack_(ofThread()) { stack_.clear(); }
  ~BorrowedStack() { stack_.clear(); }
  BorrowedStack(const BorrowedStack&) = delete;
  BorrowedStack& operator=(const BorrowedStack&) = delete;
  torch::jit::Stack& operator*() { return stack_; }

 private:
  static torch::jit::Stack& ofThread() {
    static thread_local torch::jit::Stack stack;
    return stack;
  }
  torch::jit::Stack& stack_;
};

// (operator, empty handle, ...arguments). For an operator of one overload all arguments come in the schema's order, named ones too; for several,
// a plain object at the end may name some. Undefined: the one tensor that it gives is in the handle. Otherwise the handle stays empty and the
// results come back: the first argument's own handle where the operator changed it in place, a number, a string, null, or an array of results.
napi_value call(napi_env env, napi_callback_info info) {
  return guard(env, [&]() -> napi_value {
    const Arguments all(env, info);
    const Operator& op = readOperator(env, all[0]);
    const Given given(env, all, 2, op.plans.size() == 1);
    const Plan& plan = choose(env, op.plans, given);
    if (plan.lists.count > 0 && callOverLists(env, plan, given)) return fromResults(env, {});
    BorrowedStack borrowed;
    torch::jit::Stack& stack = *borrowed;
    fill(env, plan, given, stack);
    plan.overload.callBoxed(&stack);
    if (stack.size() == 1 && stack.front().isTensor()) {
      if (plan.inPlace && given.positional() > 0) return all[2];
      if (!stack.front().toTensor().defined()) return makeNull(env);
      fillHandle(env, readHandle(env, all[1]), std::move(stack.front()).toTensor());
      return nullptr;
    }
    return fromResults(env, stack);
  });
}

napi_value schemas(napi_env env, napi_callback_info info) {  // (operator): its schemas as text
  return guard(env, [&] {
    const Arguments given(env, info);
    const Operator& op = readOperator(env, given[0]);
    napi_value array;
    check(napi_create_array_with_length(env, op.plans.size(), &array), "array");
    uint32_t i = 0;
    for (const Plan& plan : op.plans) {
      std::ostringstream text;
      text << plan.schema();
      check(napi_set_element(env, array, i++, makeString(env, text.str())), "array element");
    }
    return array;
  });
}

napi_value placesOf(napi_env env, const Plan& plan, Kind kind) {
  napi_value places;
  check(napi_create_array(env, &places), "array");
  uint32_t count = 0;
  for (uint32_t i = 0; i < plan.parameters.size(); i++)
    if (plan.parameters[i].kind == kind) check(napi_set_element(env, places, count++, makeInt(env, i)), "array element");
  return places;
}

// (operator): [names of its parameters, how many of them may be given without a name, which are lists of tensors, which lists of integers], or null
// when it has several overloads
napi_value parameters(napi_env env, napi_callback_info info) {
  return guard(env, [&] {
    const Arguments given(env, info);
    const Operator& op = readOperator(env, given[0]);
    if (op.plans.size() != 1) return makeNull(env);
    const Plan& plan = op.plans.front();
    napi_value described, names;
    check(napi_create_array_with_length(env, 4, &described), "array");
    check(napi_create_array_with_length(env, plan.parameters.size(), &names), "array");
    for (uint32_t i = 0; i < plan.parameters.size(); i++)
      check(napi_set_element(env, names, i, makeString(env, plan.parameters[i].name())), "array element");
    check(napi_set_element(env, described, 0, names), "array element");
    check(napi_set_element(env, described, 1, makeInt(env, static_cast<int64_t>(plan.positional))), "array element");
    check(napi_set_element(env, described, 2, placesOf(env, plan, Kind::kTensorList)), "array element");
    check(napi_set_element(env, described, 3, placesOf(env, plan, Kind::kIntList)), "array element");
    return described;
  });
}

napi_value operatorNames(napi_env env, napi_callback_info) {  // all names, as "aten::add.Tensor"
  return guard(env, [&] {
    napi_value array;
    check(napi_create_array(env, &array), "array");
    uint32_t i = 0;
    for (const auto& id : c10::Dispatcher::singleton().getAllOpNames()) {
      // Names without a schema are kernels of something that is not loaded.
      if (!c10::Dispatcher::singleton().findSchema(id)) continue;
      const std::string name = id.overload_name.empty() ? id.name : id.name + "." + id.overload_name;
      check(napi_set_element(env, array, i++, makeString(env, name)), "array element");
    }
    return array;
  });
}

}  // namespace

const Operator& readOperator(napi_env env, napi_value value) {
  void* data = nullptr;
  if (value == nullptr || napi_get_value_external(env, value, &data) != napi_ok || data == nullptr ||
      static_cast<Operator*>(data)->magic != Operator::kMagic)
    throw Error(code::kForeign, "expected an operator");
  return *static_cast<Operator*>(data);
}

void defineOperators(napi_env env, napi_value exports) {
  define(env, exports, "find", find);
  define(env, exports, "call", call);
  define(env, exports, "parameters", parameters);
  define(env, exports, "schemas", schemas);
  define(env, exports, "operatorNames", operatorNames);
}

}  // namespace engine
