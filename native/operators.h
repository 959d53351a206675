// Operators of libtorch's dispatcher, by name.
#pragma once
#include <ATen/core/dispatch/Dispatcher.h>
#include <node_api.h>

#include <string>
#include <vector>

#include "values.h"

namespace engine {

// One overload, or all overloads of a name when none was named: then the arguments choose.
struct Operator {
  static constexpr uint64_t kMagic = 0x66696c746f706572;
  uint64_t magic = kMagic;
  std::string name;
  std::vector<c10::OperatorHandle> overloads;
};

struct Invocation {
  c10::OperatorHandle overload;
  torch::jit::Stack stack;
};

// arguments[from..]: positional ones, then at most one plain object of named ones.
Invocation prepare(napi_env env, const Operator& op, const Arguments& arguments, size_t from);
const Operator& readOperator(napi_env env, napi_value value);

void defineOperators(napi_env env, napi_value exports);

}  // namespace engine
