// JavaScript values to the values of a schema, and results back.
#pragma once
#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/stack.h>
#include <node_api.h>

namespace engine {

// The value for one argument of a schema; throws when it does not fit.
c10::IValue toArgument(napi_env env, napi_value value, const c10::Argument& argument);

// How well a value fits an argument, without throwing: overloads are chosen by it.
enum class Fit { kNo, kConverted, kExact };
Fit fits(napi_env env, napi_value value, const c10::Argument& argument);

napi_value fromResult(napi_env env, const c10::IValue& value);
// The one result, or an array: of several, or empty where there is none.
napi_value fromResults(napi_env env, const torch::jit::Stack& stack);

}  // namespace engine
