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
  Parameter parameter{&argument, kindOf(*type, *real), optional, optional, c10::IValue(), false, argument.N() ? *argument.N() : -1};
  if (argument.default_value()) {
    parameter.hasDefault = true;
    parameter.defaultValue = *argument.default_value();
    parameter.copiesDefault = parameter.defaultValue.isList() && argument.alias_info() != nullptr;
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

// A default list is one object for all calls, unless the schema says that the operator writes into it or gives it back.
c10::IValue defaultOf(const Parameter& parameter) {
  return parameter.copiesDefault ? parameter.defaultValue.deepcopy() : parameter.defaultValue;
}

// The common case of a kind; false for anything that needs a closer look: other representations, null, undefined, mistakes.
bool readUsual(napi_env env, napi_value value, const Parameter& parameter, torch::jit::Stack& stack) {
  switch (parameter.kind) {
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
      c10::List<int64_t> list;
      double number;
      if (parameter.fixed > 0 && napi_get_value_double(env, value, &number) == napi_ok) {
        const int64_t one = readInt(env, value);
        for (int64_t i = 0; i < parameter.fixed; i++) list.push_back(one);
        stack.emplace_back(std::move(list));
        return true;
      }
      uint32_t length;
      if (napi_get_array_length(env, value, &length) != napi_ok) return false;
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
  if (value != nullptr && readUsual(env, value, parameter, stack)) return;
  if (value != nullptr && typeOf(env, value) != napi_undefined) stack.push_back(toArgument(env, value, *parameter.argument));
  else if (parameter.hasDefault) stack.push_back(defaultOf(parameter));
  else throw Error(code::kArgument, "missing");
}

// Lists come written out: a length and so many elements, because reading an array costs several times as much. A list of integers comes as its
// length and a half, which no integer that stands for a list of fixed length can be. How many elements follow; -1 where no length stands at the place.
int64_t writtenOut(napi_env env, const Given& given, size_t at, const Parameter& parameter) {
  napi_value value = given.at(env, at, parameter);
  double length;
  if (value == nullptr || napi_get_value_double(env, value, &length) != napi_ok) return -1;
  const bool integers = parameter.kind == Kind::kIntList;
  if (integers) {
    if (length == std::trunc(length)) return -1;
    length -= 0.5;
  }
  const auto most = static_cast<double>(given.positional() - at - 1);
  if (!(length >= 0 && length <= most && length == std::trunc(length)))
    throw Error(code::kArgument, integers ? "expected an integer" : "expected an array of tensors");
  return static_cast<int64_t>(length);
}

template <class List, class Read>
bool readWrittenOut(napi_env env, const Given& given, size_t& at, const Parameter& parameter, List& list, Read&& readElement) {
  const int64_t length = writtenOut(env, given, at, parameter);
  if (length < 0) return false;
  list.reserve(length);
  const size_t end = at + 1 + length;
  for (at++; at < end; at++) list.push_back(readElement(env, given.at(env, at, parameter)));
  return true;
}

template <class Element, class Read>
bool pushWrittenOut(napi_env env, const Given& given, size_t& at, const Parameter& parameter, torch::jit::Stack& stack, Read&& readElement) {
  c10::List<Element> list;
  if (!readWrittenOut(env, given, at, parameter, list, readElement)) return false;
  stack.emplace_back(std::move(list));
  return true;
}

Error named(const Error& error, const Parameter& parameter) {
  return Error(error.code(), "argument \"" + parameter.name() + "\": " + error.what());
}

void refuseMore(const Plan& plan, const Given& given, size_t taken) {
  if (given.positional() > taken) throw Error(code::kArgument, "too many arguments: at most " + std::to_string(plan.parameters.size()));
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

Plan::Plan(c10::OperatorHandle handle) : overload(std::move(handle)), inPlace(givesFirstBack(schema())), lists(overLists(overload)) {
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
  const Parameter* present = nullptr;
  try {
    for (const Parameter& parameter : plan.parameters) {
      present = &parameter;
      if (given.settled()) {
        if (parameter.kind == Kind::kTensorList && pushWrittenOut<at::Tensor>(env, given, at, parameter, stack, readTensor)) continue;
        if (parameter.kind == Kind::kIntList && pushWrittenOut<int64_t>(env, given, at, parameter, stack, readInt)) continue;
      }
      read(env, given.at(env, at++, parameter), parameter, stack);
    }
  } catch (const Error& error) {
    throw named(error, *present);
  }
  refuseMore(plan, given, at);
  if (given.hasNames()) refuseUnknownNames(env, plan, given);
}

bool callOverLists(napi_env env, const Plan& plan, const Given& given) {
  if (!given.settled()) return false;
  TensorLists lists;
  torch::jit::Stack number;
  size_t at = 0;
  const Parameter* present = nullptr;
  try {
    for (size_t i = 0; i < plan.lists.count; i++) {
      present = &plan.parameters[i];
      if (!readWrittenOut(env, given, at, *present, lists[i], readTensor)) return false;
    }
    present = &plan.parameters.back();
    read(env, given.at(env, at++, *present), *present, number);
  } catch (const Error& error) {
    throw named(error, *present);
  }
  refuseMore(plan, given, at);
  plan.lists.call(lists, number.front().toScalar());
  return true;
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
