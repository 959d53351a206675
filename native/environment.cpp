// A second, tiny addon without libtorch: sets real environment variables before libtorch, OpenMP and OpenBLAS read theirs on loading.
// In a worker thread `process.env` is only a copy, so JavaScript alone cannot do it.
#include <node_api.h>

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

}  // namespace

NAPI_MODULE_INIT() {
  napi_value function;
  if (napi_create_function(env, "setDefault", NAPI_AUTO_LENGTH, setDefault, nullptr, &function) != napi_ok ||
      napi_set_named_property(env, exports, "setDefault", function) != napi_ok)
    napi_throw_error(env, "internal", "the addon could not be set up");
  return exports;
}
