// The one way in which the addon fails: a C++ exception that becomes a JavaScript Error with a `code`.
#pragma once
#include <node_api.h>

#include <exception>
#include <stdexcept>
#include <string>

namespace engine {

// What went wrong, as the `code` of the JavaScript error. The TypeScript face turns them into the project's own error.
namespace code {
constexpr const char* kArgument = "argument";          // a JavaScript value that does not fit the schema
constexpr const char* kDisposed = "disposed";          // a tensor that was given back already
constexpr const char* kForeign = "foreign";            // an object that the addon did not make
constexpr const char* kUnknown = "unknown-operator";   // no such name in the dispatcher
constexpr const char* kLibtorch = "libtorch";          // libtorch refused
constexpr const char* kMemory = "out-of-memory";       // a device has no room for a tensor
constexpr const char* kInternal = "internal";          // Node-API refused: a bug here
}  // namespace code

class Error : public std::runtime_error {
 public:
  Error(const char* code, const std::string& message) : std::runtime_error(message), code_(code) {}
  const char* code() const { return code_; }

 private:
  const char* code_;
};

struct Failure {
  const char* code;
  std::string message;
};

// What the exception in flight means; call it in a catch block only.
Failure currentFailure() noexcept;

// Leaves a JavaScript exception pending, unless one is pending already.
void raise(napi_env env, const Failure& failure) noexcept;

// Runs a callback's body: no C++ exception leaves the addon.
template <class Body>
napi_value guard(napi_env env, Body&& body) noexcept {
  try {
    return body();
  } catch (...) {
    raise(env, currentFailure());
  }
  return nullptr;
}

// Every Node-API status goes through here.
inline void check(napi_status status, const char* what) {
  if (status != napi_ok) throw Error(code::kInternal, std::string("Node-API refused: ") + what);
}

}  // namespace engine
