// Looking operators up, choosing the overload, calling it boxed.
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

using c10::Argument;
using c10::FunctionSchema;

std::string print(const FunctionSchema& schema) {
  std::ostringstream text;
  text << schema;
  return text.str();
}

// JavaScript's arguments, split into positional and named ones.
struct Given {
  const Arguments& arguments;
  size_t from, end;
  napi_value named = nullptr;

  Given(napi_env env, const Arguments& all, size_t first) : arguments(all), from(first), end(all.size()) {
    if (end > from && typeOf(env, all[end - 1]) == napi_object && !isArray(env, all[end - 1])) named = all[--end];
  }
  size_t positional() const { return end - from; }
  // The value for the i-th argument of a schema, or nullptr. Undefined counts as not given.
  napi_value at(napi_env env, size_t i, const Argument& argument, size_t& used) const {
    napi_value value = i < positional() ? arguments[from + i] : nullptr;
    if (value == nullptr && named != nullptr) {
      check(napi_get_named_property(env, named, argument.name().c_str(), &value), "named argument");
      if (typeOf(env, value) != napi_undefined) used++;
    }
    return value == nullptr || typeOf(env, value) == napi_undefined ? nullptr : value;
  }
};

size_t positionalCount(const FunctionSchema& schema) {
  const auto& arguments = schema.arguments();
  return std::find_if(arguments.begin(), arguments.end(), [](const Argument& a) { return a.kwarg_only(); }) - arguments.begin();
}

bool optional(const Argument& argument) {
  return argument.default_value().has_value() || argument.type()->kind() == c10::TypeKind::OptionalType;
}

void refuseUnknownNames(napi_env env, const Given& given, const FunctionSchema& schema) {
  napi_value keys;
  check(napi_get_property_names(env, given.named, &keys), "named arguments");
  const uint32_t count = readLength(env, keys);
  for (uint32_t i = 0; i < count; i++) {
    const std::string key = readString(env, element(env, keys, i));
    const auto index = schema.argumentIndexWithName(key);
    if (!index) throw Error(code::kArgument, "no argument is named \"" + key + "\"");
    if (static_cast<size_t>(*index) < given.positional()) throw Error(code::kArgument, "argument \"" + key + "\" is given twice");
  }
}

torch::jit::Stack fill(napi_env env, const Given& given, const FunctionSchema& schema) {
  const auto& arguments = schema.arguments();
  if (given.positional() > positionalCount(schema))
    throw Error(code::kArgument, "too many arguments: at most " + std::to_string(positionalCount(schema)) + " without a name, got " +
                                     std::to_string(given.positional()));
  torch::jit::Stack stack;
  stack.reserve(std::max(arguments.size(), schema.returns().size()));
  size_t used = 0;
  for (size_t i = 0; i < arguments.size(); i++) {
    const Argument& argument = arguments[i];
    napi_value value = given.at(env, i, argument, used);
    if (value == nullptr) {
      if (argument.default_value()) stack.push_back(*argument.default_value());
      else if (optional(argument)) stack.emplace_back();
      else throw Error(code::kArgument, "argument \"" + argument.name() + "\" is missing");
      continue;
    }
    try {
      stack.push_back(toArgument(env, value, argument));
    } catch (const Error& error) {
      throw Error(error.code(), "argument \"" + argument.name() + "\": " + error.what());
    }
  }
  if (given.named != nullptr) refuseUnknownNames(env, given, schema);
  return stack;
}

Fit fitsAll(napi_env env, const Given& given, const FunctionSchema& schema) {
  const auto& arguments = schema.arguments();
  if (given.positional() > positionalCount(schema)) return Fit::kNo;
  Fit fit = Fit::kExact;
  size_t used = 0;
  for (size_t i = 0; i < arguments.size() && fit != Fit::kNo; i++) {
    napi_value value = given.at(env, i, arguments[i], used);
    if (value == nullptr) {
      if (!optional(arguments[i])) return Fit::kNo;
    } else {
      fit = std::min(fit, fits(env, value, arguments[i]));
    }
  }
  if (given.named != nullptr && fit != Fit::kNo) {
    napi_value keys;
    check(napi_get_property_names(env, given.named, &keys), "named arguments");
    const uint32_t count = readLength(env, keys);
    for (uint32_t i = 0; i < count; i++)
      if (!schema.argumentIndexWithName(readString(env, element(env, keys, i)))) return Fit::kNo;
  }
  return fit;
}

// The first overload that fits as it is, else the first that fits after converting numbers.
const c10::OperatorHandle& choose(napi_env env, const Operator& op, const Given& given) {
  if (op.overloads.size() == 1) return op.overloads.front();
  const c10::OperatorHandle* converted = nullptr;
  for (const auto& overload : op.overloads) {
    const Fit fit = fitsAll(env, given, overload.schema());
    if (fit == Fit::kExact) return overload;
    if (fit == Fit::kConverted && converted == nullptr) converted = &overload;
  }
  if (converted != nullptr) return *converted;
  std::string all = "no overload takes these arguments:";
  for (const auto& overload : op.overloads) all += "\n  " + print(overload.schema());
  throw Error(code::kArgument, all);
}

bool writesOut(const c10::OperatorHandle& handle) {
  const auto& arguments = handle.schema().arguments();
  return std::any_of(arguments.begin(), arguments.end(), [](const Argument& a) { return a.is_out(); });
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
    for (auto& [name, handles] : all)
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
    auto op = std::make_unique<Operator>();
    op->name = readString(env, given[0]);
    if (isMissing(env, given[1])) {
      op->overloads = overloadsOf(op->name);
    } else {
      auto handle = c10::Dispatcher::singleton().findSchema({op->name, readString(env, given[1])});
      if (handle) op->overloads.push_back(*handle);
    }
    if (op->overloads.empty()) throw Error(code::kUnknown, "libtorch has no operator of this name");
    napi_value value;
    check(napi_create_external(env, op.get(), [](FinalizeEnv, void* data, void*) { delete static_cast<Operator*>(data); }, nullptr, &value),
          "external");
    op.release();
    return value;
  });
}

napi_value call(napi_env env, napi_callback_info info) {  // (operator, ...arguments)
  return guard(env, [&] {
    const Arguments given(env, info);
    Invocation invocation = prepare(env, readOperator(env, given[0]), given, 1);
    invocation.overload.callBoxed(&invocation.stack);
    return fromResults(env, invocation.stack);
  });
}

napi_value schemas(napi_env env, napi_callback_info info) {  // (operator): its schemas as text
  return guard(env, [&] {
    const Arguments given(env, info);
    const Operator& op = readOperator(env, given[0]);
    napi_value array;
    check(napi_create_array_with_length(env, op.overloads.size(), &array), "array");
    for (uint32_t i = 0; i < op.overloads.size(); i++)
      check(napi_set_element(env, array, i, makeString(env, print(op.overloads[i].schema()))), "array element");
    return array;
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
      check(napi_set_element(env, array, i++, makeString(env, id.overload_name.empty() ? id.name : id.name + "." + id.overload_name)), "array element");
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

Invocation prepare(napi_env env, const Operator& op, const Arguments& arguments, size_t from) {
  const Given given(env, arguments, from);
  const c10::OperatorHandle& overload = choose(env, op, given);
  return {overload, fill(env, given, overload.schema())};
}

void defineOperators(napi_env env, napi_value exports) {
  define(env, exports, "find", find);
  define(env, exports, "call", call);
  define(env, exports, "schemas", schemas);
  define(env, exports, "operatorNames", operatorNames);
}

}  // namespace engine
