// A schema worked out once for many calls: what each argument is, what stands in for it, whether the operator gives its first argument back.
#pragma once
#include <ATen/core/dispatch/Dispatcher.h>
#include <node_api.h>

#include <string>
#include <vector>

#include "lists.h"
#include "values.h"

namespace engine {

// The kinds that are read without looking at the type again.
enum class Kind { kTensor, kInt, kDouble, kBool, kScalar, kIntList, kTensorList, kOther };

struct Parameter {
  const c10::Argument* argument;
  Kind kind;
  bool optional;            // may be null
  bool hasDefault;          // may be left out; also every optional one
  c10::IValue defaultValue;
  bool copiesDefault;       // it is a list that the operator may change or keep
  int64_t fixed;            // length of a list for which one value may stand, or -1
  const std::string& name() const { return argument->name(); }
};

struct Plan {
  c10::OperatorHandle overload;
  std::vector<Parameter> parameters;
  size_t positional;  // how many may be given without a name
  bool inPlace;       // it changes its first argument and returns it
  OverLists lists;
  explicit Plan(c10::OperatorHandle handle);
  const c10::FunctionSchema& schema() const { return overload.schema(); }
};

// JavaScript's arguments: in the order of the schema, a list of tensors written out as its length and its elements or as an array; and, where the overload is not settled yet, at most one plain object of named ones at the end.
class Given {
 public:
  Given(napi_env env, const Arguments& all, size_t first, bool settled);
  size_t positional() const { return end_ - first_; }
  bool hasNames() const { return named_ != nullptr; }
  bool settled() const { return settled_; }
  std::vector<std::string> names(napi_env env) const;
  // The value for the i-th parameter, which may be undefined, or nullptr where none is given.
  napi_value at(napi_env env, size_t i, const Parameter& parameter) const;

 private:
  const Arguments& all_;
  size_t first_, end_;
  bool settled_;
  napi_value named_ = nullptr;
};

// Puts the arguments of a call on the stack; throws an engine::Error that names the argument at fault.
void fill(napi_env env, const Plan& plan, const Given& given, torch::jit::Stack& stack);

// Calls an operator over lists without boxes; false where it is none or its lists are not written out.
bool callOverLists(napi_env env, const Plan& plan, const Given& given);

// The first plan whose parameters fit as they are, else the first that fits after converting numbers.
const Plan& choose(napi_env env, const std::vector<Plan>& plans, const Given& given);

}  // namespace engine
