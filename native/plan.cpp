// Working schemas out, matching arguments to them.
#include "plan.h"

#include <ATen/core/jit_type.h>

#include <algorithm>

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

c10::IValue read(napi_env env, napi_value value, const Parameter& parameter) {
  switch (parameter.kind) {
    case Kind::kTensor: {
      const at::Tensor* tensor = findTensor(env, value);
      if (tensor != nullptr) return *tensor;
      break;
    }
    case Kind::kDouble: {
      double number;
      if (napi_get_value_double(env, value, &number) == napi_ok) return number;
      break;
    }
    case Kind::kBool: {
      bool truth;
      if (napi_get_value_bool(env, value, &truth) == napi_ok) return truth;
      break;
    }
    case Kind::kInt: {
      double number;
      if (napi_get_value_double(env, value, &number) == napi_ok && number == static_cast<double>(static_cast<int32_t>(number)))
        return static_cast<int64_t>(number);
      break;
    }
    case Kind::kIntList: {
      bool array = false;
      if (napi_is_array(env, value, &array) == napi_ok && array) return readIntList(env, value);
      break;
    }
    default: break;
  }
  return toArgument(env, value, *parameter.argument);  // what is rarer, or wrong
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
    if (value != nullptr) fit = std::min(fit, fits(env, value, *parameter.argument));
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

Given::Given(napi_env env, const Arguments& all, size_t first) : all_(all), first_(first), end_(all.size()) {
  if (end_ <= first_) return;
  napi_value last = all[end_ - 1];
  if (typeOf(env, last) == napi_object && !isArray(env, last)) {
    named_ = last;
    end_--;
  }
}

napi_value Given::at(napi_env env, size_t i, const Parameter& parameter) const {
  napi_value value = nullptr;
  if (i < positional()) value = all_[first_ + i];
  else if (named_ != nullptr) check(napi_get_named_property(env, named_, parameter.name().c_str(), &value), "named argument");
  return value == nullptr || typeOf(env, value) == napi_undefined ? nullptr : value;
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
  if (given.positional() > plan.positional)
    throw Error(code::kArgument, "too many arguments: at most " + std::to_string(plan.positional) + " without a name, got " +
                                     std::to_string(given.positional()));
  for (size_t i = 0; i < plan.parameters.size(); i++) {
    const Parameter& parameter = plan.parameters[i];
    napi_value value = given.at(env, i, parameter);
    if (value == nullptr) {
      if (!parameter.hasDefault) throw Error(code::kArgument, "argument \"" + parameter.name() + "\" is missing");
      stack.push_back(copyOf(parameter.defaultValue));
      continue;
    }
    try {
      stack.push_back(read(env, value, parameter));
    } catch (const Error& error) {
      throw Error(error.code(), "argument \"" + parameter.name() + "\": " + error.what());
    }
  }
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
