// A second, tiny addon without libtorch, for what belongs to the process and JavaScript cannot reach.
// Variables: libtorch, OpenMP and OpenBLAS read theirs on loading, and in a worker thread `process.env` is only a copy.
// The heap: whether the C library keeps freed blocks for later or gives them back to the system.
#include <node_api.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <cstdlib>
#include <string>

namespace {

bool text(napi_env env, napi_value value, std::string& out) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) return false;
  out.resize(length);
  return napi_get_value_string_utf8(env, value, &out[0], length + 1, &length) == napi_ok;
}

napi_value setDefault(napi_env env, napi_callback_info info) {  // (name, value): leaves what is set already
  size_t count = 2;
  napi_value arguments[2];
  std::string name, value;
  if (napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr) != napi_ok || count != 2 || !text(env, arguments[0], name) ||
      !text(env, arguments[1], value) || setenv(name.c_str(), value.c_str(), 0) != 0)
    napi_throw_error(env, "argument", "expected the name and the value of an environment variable");
  return nullptr;
}

// By default each large block is a mapping of its own, whose pages are made and cleared anew, and a thread's blocks lie
// in a heap that takes no large ones. Both cost more than a large network's run, and up to a fifth of a training step.
#if defined(__GLIBC__)
constexpr int whole = 32 << 20;  // what glibc raises the threshold to by itself, as such blocks are freed
bool keepBlocks() {
  return mallopt(M_MMAP_THRESHOLD, 1 << 30) == 1 && mallopt(M_TRIM_THRESHOLD, 2147483647) == 1 &&
         mallopt(M_TOP_PAD, 64 << 20) == 1;
}
bool asBefore() { return mallopt(M_MMAP_THRESHOLD, whole) == 1 && mallopt(M_TRIM_THRESHOLD, 2 * whole) == 1; }
#endif

napi_value keepFreedBlocks(napi_env env, napi_callback_info info) {  // (on): whether there is something to set
  size_t count = 1;
  napi_value argument, result;
  bool on = false, set = false;
  if (napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr) != napi_ok || count != 1 ||
      napi_get_value_bool(env, argument, &on) != napi_ok) {
    napi_throw_error(env, "argument", "expected a boolean");
    return nullptr;
  }
#if defined(__GLIBC__)
  set = on ? keepBlocks() : asBefore();
#endif
  return napi_get_boolean(env, set, &result) == napi_ok ? result : nullptr;
}

napi_value returnFreedBlocks(napi_env env, napi_callback_info) {  // gives every free page to the system, once
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
  napi_value result;
  return napi_get_undefined(env, &result) == napi_ok ? result : nullptr;
}

// One heap for all threads, from here on: those that have one of their own keep it.
void shareHeap() {
#if defined(__GLIBC__)
  mallopt(M_ARENA_MAX, 1);
#endif
}

bool define(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function;
  return napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function) == napi_ok &&
         napi_set_named_property(env, exports, name, function) == napi_ok;
}

}  // namespace

NAPI_MODULE_INIT() {
  if (std::getenv("FILTERBASIS_NO_MALLOPT") == nullptr) shareHeap();
  if (!define(env, exports, "setDefault", setDefault) || !define(env, exports, "keepFreedBlocks", keepFreedBlocks) ||
      !define(env, exports, "returnFreedBlocks", returnFreedBlocks))
    napi_throw_error(env, "internal", "the addon could not be set up");
  return exports;
}
