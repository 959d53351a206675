// The addon's entry. It may be loaded once in every thread: nothing here belongs to one thread alone.
#include "module.h"

#include "soundness.h"
#include "values.h"

namespace engine {

void define(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function;
  check(napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function), name);
  setProperty(env, exports, name, function);
}

}  // namespace engine

NAPI_MODULE_INIT() {
  return engine::guard(env, [&] {
    engine::hasSoundConvolutions();
    engine::defineOperators(env, exports);
    engine::defineTensors(env, exports);
    engine::defineData(env, exports);
    engine::defineAsync(env, exports);
    engine::defineAutograd(env, exports);
    engine::defineDevices(env, exports);
    engine::defineSettings(env, exports);
    engine::defineGroups(env, exports);
    return exports;
  });
}
