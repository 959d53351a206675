// Operators of libtorch's dispatcher, by name.
#pragma once
#include <node_api.h>

#include <string>
#include <vector>

#include "plan.h"

namespace engine {

// One overload, or all overloads of a name when none was named: then the arguments choose.
struct Operator {
  static constexpr uint64_t kMagic = 0x66696c746f706572;
  uint64_t magic = kMagic;
  std::vector<Plan> plans;
};

const Operator& readOperator(napi_env env, napi_value value);

}  // namespace engine
