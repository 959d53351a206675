// Working schemas out, matching arguments to them.
#include "plan.h"

#include <ATen/core/jit_type.h>

#include <algorithm>
#include <cmath>

#include "convert.h"
#include "handle.h"

namespace engine {
namespace {

using c10::TypeKind;

Kind kindOf(const c10::Type& type, const c10::Type& real) {
  switch (type.kind()) {
    case TypeKind::TensorType: return Kind::kTensor;
    case TypeKind::FloatType: return Kind::kDouble;
    case TypeKind::BoolType: return Kind::kBool;
    case TypeKind::NumberType: return Kind::kScalar;
    case TypeKind::IntType:
    case TypeKind::SymIntType: return real.kind() == TypeKind::IntType || real.kind() == TypeKind::SymIntType ? Kind::kInt : Kind::kOther;
    case TypeKind::ListType: {
      const auto inner = static_cast<const c10::ListType&>(type).getElementType()->kind();
      if (inner == TypeKind::TensorType) return Kind::kTensorList;
      return inner == TypeKind::IntType || inner == TypeKind::SymIntType ? Kind::kIntList : Kind::kOther;
    }
    default: return Kind::kOther;
  }
}

Parameter parameterOf(const c10::Argument& argument) {
  const c10::Type* type = argument.type().get();
  const c10::Type* real = argument.real_type().get();
  const bool optional = type->kind() == TypeKind::OptionalType;
  if (optional) {
    type = static_cast<const c10::OptionalType*>(type)->getElementType().get();
    real = static_cast<const c10::OptionalType*>(real)->getElementType().get();
  }
  Parameter parameter{&argument, kindOf(*type, *real), optional, optional, c10::IValue(), argument.N() ? *argument.N() : -1};
  if (argument.default_value()) {
    parameter.hasDefault = true;
    parameter.defaultValue = *argument.default_value();
  }
  return parameter;
}

bool givesFirstBack(const c10::FunctionSchema& schema) {
  if (schema.arguments().empty() || schema.returns().size() != 1) return false;
  const auto writes = [](const c10::Argument& argument) {
    return argument.type()->kind() == TypeKind::TensorType && argument.alias_info() != nullptr && argument.alias_info()->isWrite();
  };
  return writes(schema.arguments().front()) && writes(schema.returns().front()) && !schema.arguments().front().is_out();
}

// IValue's copy is cheap except for lists, which operators may keep: a default list is copied whole.
c10::IValue copyOf(const c10::IValue& value) { return value.isList() ? value.deepcopy() : value; }

// The common case of a kind; false for anything that needs a closer look: other representations, null, undefined, mistakes.
bool readUsual(napi_env env, napi_value value, Kind kind, torch::jit::Stack& stack) {
  switch (kind) {
    case Kind::kTensor: {
      const at::Tensor* tensor = findTensor(env, value);
      if (tensor == nullptr) return false;
      stack.emplace_back(*tensor);
      return true;
    }
    case Kind::kDouble: {
      double number;
      if (napi_get_value_double(env, value, &number) != napi_ok) return false;
      stack.emplace_back(number);
      return true;
    }
    case Kind::kBool: {
      bool truth;
      if (napi_get_value_bool(env, value, &truth) != napi_ok) return false;
      stack.emplace_back(truth);
      return true;
    }
    case Kind::kInt: {
      double number;
      if (napi_get_value_double(env, value, &number) != napi_ok || !(std::abs(number) < 2e9) || number != std::trunc(number)) return false;
      stack.emplace_back(static_cast<int64_t>(number));
      return true;
    }
    case Kind::kIntList: {
      uint32_t length;
      if (napi_get_array_length(env, value, &length) != napi_ok) return false;
      c10::List<int64_t> list;
      list.reserve(length);
      for (uint32_t i = 0; i < length; i++) list.push_back(readInt(env, element(env, value, i)));
      stack.emplace_back(std::move(list));
      return true;
    }
    case Kind::kTensorList: {
      uint32_t length;
      if (napi_get_array_length(env, value, &length) != napi_ok) return false;
      c10::List<at::Tensor> list;
      list.reserve(length);
      for (uint32_t i = 0; i < length; i++) list.push_back(readTensor(env, element(env, value, i)));
      stack.emplace_back(std::move(list));
      return true;
    }
    default: return false;
  }
}

void read(napi_env env, napi_value value, const Parameter& parameter, torch::jit::Stack& stack) {
  if (value != nullptr && readUsual(env, value, parameter.kind, stack)) return;
  if (value != nullptr && typeOf(env, value) != napi_undefined) stack.push_back(toArgument(env, value, *parameter.argument));
  else if (parameter.hasDefault) stack.push_back(copyOf(parameter.defaultValue));
  else throw Error(code::kArgument, "missing");
}

// A length and so many tensors: reading an array element by element costs several times as much.
bool readWrittenOut(napi_env env, const Given& given, size_t& at, const Parameter& parameter, torch::jit::Stack& stack) {
  napi_value value = given.at(env, at, parameter);
  double length;
  if (value == nullptr || napi_get_value_double(env, value, &length) != napi_ok) return false;
  if (!(length >= 0 && length <= static_cast<double>(given.positional() - at - 1))) throw Error(code::kArgument, "expected an array of tensors");
  c10::List<at::Tensor> list;
  const size_t end = at + 1 + static_cast<size_t>(length);
  list.reserve(end - at - 1);
  for (at++; at < end; at++) list.push_back(readTensor(env, given.at(env, at, parameter)));
  stack.emplace_back(std::move(list));
  return true;
}

void refuseUnknownNames(napi_env env, const Plan& plan, const Given& given) {
  for (const std::string& name : given.names(env)) {
    const auto index = plan.schema().argumentIndexWithName(name);
    if (!index) throw Error(code::kArgument, "no argument is named \"" + name + "\"");
    if (static_cast<size_t>(*index) < given.positional()) throw Error(code::kArgument, "argument \"" + name + "\" is given twice");
  }
}

Fit fitsAll(napi_env env, const Plan& plan, const Given& given) {
  if (given.positional() > plan.positional) return Fit::kNo;
  Fit fit = Fit::kExact;
  for (size_t i = 0; i < plan.parameters.size() && fit != Fit::kNo; i++) {
    const Parameter& parameter = plan.parameters[i];
    napi_value value = given.at(env, i, parameter);
    if (value != nullptr && typeOf(env, value) != napi_undefined) fit = std::min(fit, fits(env, value, *parameter.argument));
    else if (!parameter.hasDefault) return Fit::kNo;
  }
  if (given.hasNames() && fit != Fit::kNo)
    for (const std::string& name : given.names(env))
      if (!plan.schema().argumentIndexWithName(name)) return Fit::kNo;
  return fit;
}

}  // namespace

Plan::Plan(c10::OperatorHandle handle) : overload(std::move(handle)), inPlace(givesFirstBack(schema())) {
  const auto& arguments = schema().arguments();
  parameters.reserve(arguments.size());
  for (const c10::Argument& argument : arguments) parameters.push_back(parameterOf(argument));
  positional = std::find_if(arguments.begin(), arguments.end(), [](const c10::Argument& a) { return a.kwarg_only(); }) - arguments.begin();
}

Given::Given(napi_env env, const Arguments& all, size_t first, bool settled) : all_(all), first_(first), end_(all.size()), settled_(settled) {
  if (settled || end_ <= first_) return;
  napi_value last = all[end_ - 1];
  if (typeOf(env, last) == napi_object && !isArray(env, last)) {
    named_ = last;
    end_--;
  }
}

napi_value Given::at(napi_env env, size_t i, const Parameter& parameter) const {
  if (i < positional()) return all_[first_ + i];
  if (named_ == nullptr) return nullptr;
  napi_value value;
  check(napi_get_named_property(env, named_, parameter.name().c_str(), &value), "named argument");
  return value;
}

std::vector<std::string> Given::names(napi_env env) const {
  napi_value keys;
  check(napi_get_property_names(env, named_, &keys), "named arguments");
  const uint32_t count = readLength(env, keys);
  std::vector<std::string> names;
  names.reserve(count);
  for (uint32_t i = 0; i < count; i++) names.push_back(readString(env, element(env, keys, i)));
  return names;
}

void fill(napi_env env, const Plan& plan, const Given& given, torch::jit::Stack& stack) {
  size_t at = 0;  // beyond the parameter's own place once a list was written out
  for (const Parameter& parameter : plan.parameters) {
    try {
      if (parameter.kind == Kind::kTensorList && given.settled() && readWrittenOut(env, given, at, parameter, stack)) continue;
      read(env, given.at(env, at++, parameter), parameter, stack);
    } catch (const Error& error) {
      throw Error(error.code(), "argument \"" + parameter.name() + "\": " + error.what());
    }
  }
  if (given.positional() > at) throw Error(code::kArgument, "too many arguments: at most " + std::to_string(plan.parameters.size()));
  if (given.hasNames()) refuseUnknownNames(env, plan, given);
}

const Plan& choose(napi_env env, const std::vector<Plan>& plans, const Given& given) {
  if (plans.size() == 1) return plans.front();
  const Plan* converted = nullptr;
  for (const Plan& plan : plans) {
    const Fit fit = fitsAll(env, plan, given);
    if (fit == Fit::kExact) return plan;
    if (fit == Fit::kConverted && converted == nullptr) converted = &plan;
  }
  if (converted != nullptr) return *converted;
  throw Error(code::kArgument, "none of its " + std::to_string(plans.size()) + " overloads takes these arguments");
}

}  // namespace engine
