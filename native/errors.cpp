// From C++ exceptions to JavaScript ones.
#include "errors.h"

#include <c10/util/Exception.h>

#include <new>

namespace engine {

Failure currentFailure() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return {error.code(), error.what()};
  } catch (const c10::OutOfMemoryError& error) {
    return {code::kMemory, error.what_without_backtrace()};
  } catch (const c10::Error& error) {
    return {code::kLibtorch, error.what_without_backtrace()};
  } catch (const std::bad_alloc&) {
    return {code::kMemory, "out of memory"};
  } catch (const std::exception& error) {
    return {code::kLibtorch, error.what()};
  } catch (...) {
    return {code::kInternal, "an exception of unknown type"};
  }
}

void raise(napi_env env, const Failure& failure) noexcept {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_error(env, failure.code, failure.message.c_str());
}

}  // namespace engine
