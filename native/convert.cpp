// JavaScript values to the values of a schema, and results back.
#include "convert.h"

#include <ATen/ScalarOps.h>
#include <ATen/core/jit_type.h>
#include <ATen/core/List.h>

#include <cmath>

#include "handle.h"
#include "names.h"
#include "values.h"

namespace engine {
namespace {

using c10::IValue;
using c10::TypeKind;

const c10::Type& within(const c10::Type& type) {
  if (type.kind() == TypeKind::OptionalType) return *static_cast<const c10::OptionalType&>(type).getElementType();
  return *static_cast<const c10::ListType&>(type).getElementType();
}

// Whole numbers are integers, as they are in Python; -0 stays a float.
at::Scalar toScalar(napi_env env, napi_value value) {
  switch (typeOf(env, value)) {
    case napi_boolean: return at::Scalar(readBool(env, value));
    case napi_bigint: return at::Scalar(readInt(env, value));
    case napi_number: {
      const double number = readDouble(env, value);
      if (std::abs(number) < 9e15 && number == std::trunc(number) && !(number == 0 && std::signbit(number)))
        return at::Scalar(static_cast<int64_t>(number));
      return at::Scalar(number);
    }
    default: throw Error(code::kArgument, "expected a number");
  }
}

// Integers that stand for dtypes, layouts or memory formats have names in JavaScript.
int64_t toInt(napi_env env, napi_value value, const c10::Type& real) {
  switch (real.kind()) {
    case TypeKind::ScalarTypeType: return static_cast<int64_t>(elementType(readString(env, value)));
    case TypeKind::LayoutType: return layoutValue(readString(env, value));
    case TypeKind::MemoryFormatType: return memoryFormatValue(readString(env, value));
    default: return readInt(env, value);
  }
}

template <class T, class Read>
IValue toList(napi_env env, napi_value value, int64_t fixed, Read&& read) {
  c10::List<T> list;
  if (!isArray(env, value)) {
    // A single value stands for all elements of a list of fixed length: stride 2 for [2, 2].
    if (fixed <= 0) throw Error(code::kArgument, "expected an array");
    const T one = read(value);
    for (int64_t i = 0; i < fixed; i++) list.push_back(one);
    return list;
  }
  const uint32_t length = readLength(env, value);
  list.reserve(length);
  for (uint32_t i = 0; i < length; i++) list.push_back(read(element(env, value, i)));
  return list;
}

IValue toValue(napi_env env, napi_value value, const c10::Type& type, const c10::Type& real, int64_t fixed) {
  switch (type.kind()) {
    case TypeKind::OptionalType:
      if (isMissing(env, value)) return IValue();
      return toValue(env, value, within(type), within(real), fixed);
    case TypeKind::TensorType: {
      const napi_valuetype kind = typeOf(env, value);
      // A number promotes as a Python number does: it does not widen the tensor beside it.
      if (kind == napi_number || kind == napi_boolean || kind == napi_bigint) {
        at::Tensor number = c10::scalar_to_tensor(toScalar(env, value));
        number.unsafeGetTensorImpl()->set_wrapped_number(true);
        return number;
      }
      return readTensor(env, value);
    }
    case TypeKind::IntType:
    case TypeKind::SymIntType: return toInt(env, value, real);
    case TypeKind::FloatType: return readDouble(env, value);
    case TypeKind::BoolType: return readBool(env, value);
    case TypeKind::NumberType: return toScalar(env, value);
    case TypeKind::StringType: return readString(env, value);
    case TypeKind::DeviceObjType: return c10::Device(readString(env, value));
    case TypeKind::ListType: {
      const c10::Type& inner = within(type);
      switch (inner.kind()) {
        case TypeKind::IntType:
        case TypeKind::SymIntType: return toList<int64_t>(env, value, fixed, [&](napi_value v) { return readInt(env, v); });
        case TypeKind::FloatType: return toList<double>(env, value, fixed, [&](napi_value v) { return readDouble(env, v); });
        case TypeKind::BoolType: return toList<bool>(env, value, fixed, [&](napi_value v) { return readBool(env, v); });
        case TypeKind::TensorType: return toList<at::Tensor>(env, value, -1, [&](napi_value v) { return readTensor(env, v); });
        default: {  // lists of optional tensors or of scalars
          c10::impl::GenericList list(static_cast<const c10::ListType&>(type).getElementType());
          const c10::Type& realInner = within(real);
          const uint32_t length = readLength(env, value);
          for (uint32_t i = 0; i < length; i++) list.push_back(toValue(env, element(env, value, i), inner, realInner, -1));
          return list;
        }
      }
    }
    case TypeKind::GeneratorType: throw Error(code::kArgument, "generators are not passed: the engine has one, seeded by manualSeed");
    default: throw Error(code::kArgument, "arguments of type " + type.str() + " are not supported");
  }
}

Fit both(Fit a, Fit b) { return a < b ? a : b; }
Fit whether(bool yes) { return yes ? Fit::kExact : Fit::kNo; }

Fit fitsType(napi_env env, napi_value value, const c10::Type& type, const c10::Type& real, int64_t fixed) {
  const napi_valuetype kind = typeOf(env, value);
  const auto isWhole = [&] {
    double number;
    return kind == napi_bigint || (kind == napi_number && napi_get_value_double(env, value, &number) == napi_ok && number == std::trunc(number));
  };
  switch (type.kind()) {
    case TypeKind::OptionalType:
      if (kind == napi_null || kind == napi_undefined) return Fit::kExact;
      return fitsType(env, value, within(type), within(real), fixed);
    case TypeKind::TensorType:
      if (kind == napi_external) return Fit::kExact;
      return kind == napi_number || kind == napi_boolean || kind == napi_bigint ? Fit::kConverted : Fit::kNo;
    case TypeKind::IntType:
    case TypeKind::SymIntType:
      switch (real.kind()) {
        // Only names that exist: to("cuda") means a device.
        case TypeKind::ScalarTypeType: return whether(kind == napi_string && isElementType(readString(env, value)));
        case TypeKind::LayoutType:
        case TypeKind::MemoryFormatType: return whether(kind == napi_string);
        default: return whether(isWhole());
      }
    case TypeKind::FloatType: return whether(kind == napi_number || kind == napi_bigint);
    case TypeKind::BoolType: return whether(kind == napi_boolean);
    case TypeKind::NumberType: return whether(kind == napi_number || kind == napi_boolean || kind == napi_bigint);
    case TypeKind::StringType:
    case TypeKind::DeviceObjType: return whether(kind == napi_string);
    case TypeKind::ListType: {
      const c10::Type& inner = within(type);
      if (!isArray(env, value)) return fixed > 0 ? both(Fit::kConverted, fitsType(env, value, inner, within(real), -1)) : Fit::kNo;
      Fit fit = Fit::kExact;
      const uint32_t length = readLength(env, value);
      for (uint32_t i = 0; i < length && fit != Fit::kNo; i++) {
        napi_value one = element(env, value, i);
        // A number in a list of tensors is no tensor: only single arguments are converted.
        if (inner.kind() == TypeKind::TensorType && typeOf(env, one) != napi_external) return Fit::kNo;
        fit = both(fit, fitsType(env, one, inner, within(real), -1));
      }
      return fit;
    }
    default: return Fit::kNo;
  }
}

template <class Elements>
napi_value fromElements(napi_env env, const Elements& elements) {
  napi_value array;
  check(napi_create_array_with_length(env, elements.size(), &array), "array");
  uint32_t i = 0;
  for (const IValue& one : elements) check(napi_set_element(env, array, i++, fromResult(env, one)), "array element");
  return array;
}

}  // namespace

c10::IValue toArgument(napi_env env, napi_value value, const c10::Argument& argument) {
  return toValue(env, value, *argument.type(), *argument.real_type(), argument.N() ? *argument.N() : -1);
}

Fit fits(napi_env env, napi_value value, const c10::Argument& argument) {
  return fitsType(env, value, *argument.type(), *argument.real_type(), argument.N() ? *argument.N() : -1);
}

napi_value fromResult(napi_env env, const IValue& value) {
  if (value.isTensor()) return wrap(env, value.toTensor());
  if (value.isNone()) return makeNull(env);
  if (value.isInt()) return makeInt(env, value.toInt());
  if (value.isSymInt()) return makeInt(env, value.toSymInt().expect_int());
  if (value.isDouble()) return makeDouble(env, value.toDouble());
  if (value.isBool()) return makeBool(env, value.toBool());
  if (value.isString()) return makeString(env, value.toStringRef());
  if (value.isDevice()) return makeString(env, value.toDevice().str());
  if (value.isScalar()) {
    const at::Scalar scalar = value.toScalar();
    if (scalar.isIntegral(false)) return makeInt(env, scalar.toLong());
    if (!scalar.isComplex()) return makeDouble(env, scalar.toDouble());
  }
  if (value.isTuple()) return fromElements(env, value.toTupleRef().elements());
  if (value.isList()) {
    const auto elements = value.toListRef();
    return fromElements(env, elements);
  }
  throw Error(code::kArgument, "a result of type " + value.tagKind() + " is not supported");
}

napi_value fromResults(napi_env env, const torch::jit::Stack& stack) {
  if (stack.size() == 1) return fromResult(env, stack.front());
  return fromElements(env, stack);
}

}  // namespace engine
