// The addon's entry. It may be loaded once in every thread: nothing here belongs to one thread alone.
#include "module.h"

#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "soundness.h"
#include "values.h"

namespace engine {

void define(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function;
  check(napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function), name);
  setProperty(env, exports, name, function);
}

namespace {

// Large blocks stay in the heap: by default each activation is a fresh mapping whose page faults cost up to a fifth of a training step.
void keepLargeBlocks() {
#ifdef __GLIBC__
  static const bool done = [] {
    if (std::getenv("FILTERBASIS_NO_MALLOPT") != nullptr) return false;
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 2147483647);
    mallopt(M_TOP_PAD, 64 << 20);
    mallopt(M_ARENA_MAX, 1);
    return true;
  }();
  static_cast<void>(done);
#endif
}

}  // namespace
}  // namespace engine

NAPI_MODULE_INIT() {
  return engine::guard(env, [&] {
    engine::keepLargeBlocks();
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
