// GPUs, and mixed precision. No header of CUDA is needed: what is asked of its runtime is found by name in the libraries that libtorch loaded.
#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <dlfcn.h>
#include <torch/version.h>

#include "handle.h"
#include "module.h"
#include "names.h"
#include "values.h"

#define FILTERBASIS_TORCH_FROM(major, minor) (TORCH_VERSION_MAJOR > (major) || (TORCH_VERSION_MAJOR == (major) && TORCH_VERSION_MINOR >= (minor)))

namespace engine {
namespace {

template <class Function>
Function symbol(const char* name, void* library = RTLD_DEFAULT) {
  return reinterpret_cast<Function>(dlsym(library, name));
}

// A function of CUDA's runtime; its library was loaded by libtorch, under a name that carries its version and without its symbols being global.
template <class Function>
Function runtime(const char* name) {
  if (auto found = symbol<Function>(name)) return found;
  for (const char* file : {"libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0"})
    if (void* library = dlopen(file, RTLD_LAZY | RTLD_NOLOAD))
      if (auto found = symbol<Function>(name, library)) return found;
  return nullptr;
}

using Count = int (*)(int*);
using Device = int (*)(int);
using Memory = int (*)(size_t*, size_t*);

int deviceCount() {
  const auto count = runtime<Count>("cudaGetDeviceCount");
  int devices = 0;
  return at::hasCUDA() && count != nullptr && count(&devices) == 0 ? devices : (at::hasCUDA() ? 1 : 0);
}

std::string deviceName(int index) {
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY);
  const auto name = driver == nullptr ? nullptr : symbol<int (*)(char*, int, int)>("cuDeviceGetName", driver);
  char text[256] = "";
  return name != nullptr && name(text, sizeof text, index) == 0 ? text : "GPU " + std::to_string(index);
}

void setMemory(napi_env env, napi_value object, int index) {
  const auto current = runtime<Count>("cudaGetDevice");
  const auto select = runtime<Device>("cudaSetDevice");
  const auto memory = runtime<Memory>("cudaMemGetInfo");
  int before = 0;
  size_t available = 0, total = 0;
  const bool known = current && select && memory && current(&before) == 0 && select(index) == 0 && memory(&available, &total) == 0;
  if (select) select(before);
  setProperty(env, object, "memoryBytes", known ? makeInt(env, static_cast<int64_t>(total)) : makeNull(env));
  setProperty(env, object, "freeBytes", known ? makeInt(env, static_cast<int64_t>(available)) : makeNull(env));
}

napi_value devices(napi_env env, napi_callback_info) {  // (): [{ name, memoryBytes, freeBytes, driver }]
  return guard(env, [&] {
    const int count = deviceCount();
    int version = 0;
    if (const auto driver = runtime<Count>("cudaDriverGetVersion")) driver(&version);
    napi_value array;
    check(napi_create_array_with_length(env, count, &array), "array");
    for (int i = 0; i < count; i++) {
      napi_value object;
      check(napi_create_object(env, &object), "object");
      setProperty(env, object, "name", makeString(env, deviceName(i)));
      setProperty(env, object, "driver", makeString(env, std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10)));
      setMemory(env, object, i);
      check(napi_set_element(env, array, i, object), "array element");
    }
    return array;
  });
}

napi_value synchronize(napi_env env, napi_callback_info info) {  // (device): waits until all that was queued there is done
  return guard(env, [&] {
    const Arguments given(env, info);
    const c10::Device where(readString(env, given[0]));
    if (where.is_cuda()) at::empty({1}, at::TensorOptions().device(where)).item();
    return makeUndefined(env);
  });
}

void setAutocast(c10::DeviceType kind, bool on, at::ScalarType type) {
#if FILTERBASIS_TORCH_FROM(2, 4)
  at::autocast::set_autocast_enabled(kind, on);
  if (on) at::autocast::set_autocast_dtype(kind, type);
#else
  if (kind == c10::kCPU) {
    at::autocast::set_cpu_enabled(on);
    if (on) at::autocast::set_autocast_cpu_dtype(type);
  } else {
    at::autocast::set_enabled(on);
    if (on) at::autocast::set_autocast_gpu_dtype(type);
  }
#endif
  if (!on) at::autocast::clear_cache();  // copies of the weights in the smaller type, which a step changes
}

// (device, dtype | null): convolutions and products on the device compute in the dtype, for this thread; null: as they are
napi_value autocast(napi_env env, napi_callback_info info) {
  return guard(env, [&] {
    const Arguments given(env, info);
    const bool on = !isMissing(env, given[1]);
    setAutocast(c10::Device(readString(env, given[0])).type(), on, on ? elementType(readString(env, given[1])) : at::kFloat);
    return makeUndefined(env);
  });
}

}  // namespace

void defineDevices(napi_env env, napi_value exports) {
  define(env, exports, "devices", devices);
  define(env, exports, "synchronize", synchronize);
  define(env, exports, "autocast", autocast);
}

}  // namespace engine
