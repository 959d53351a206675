// Seeds, threads, switches and versions: what belongs to the process, not to a tensor.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <dlfcn.h>
#include <torch/version.h>

#include "handle.h"
#include "module.h"
#include "soundness.h"
#include "values.h"

namespace engine {
namespace {

at::Generator generatorOf(napi_env env, napi_value device) {
  const c10::Device where = isMissing(env, device) ? c10::Device(c10::kCPU) : c10::Device(readString(env, device));
  return at::globalContext().defaultGenerator(where);
}

napi_value manualSeed(napi_env env, napi_callback_info info) {
  return guard(env, [&] {
    const Arguments given(env, info);
    at::manual_seed(static_cast<uint64_t>(readInt(env, given[0])));
    return makeUndefined(env);
  });
}

napi_value generatorState(napi_env env, napi_callback_info info) {  // (device?): bytes as a uint8 tensor
  return guard(env, [&] {
    const Arguments given(env, info);
    at::Generator generator = generatorOf(env, given[0]);
    const std::lock_guard<std::mutex> lock(generator.mutex());
    return wrap(env, generator.get_state());
  });
}

napi_value setGeneratorState(napi_env env, napi_callback_info info) {  // (state, device?)
  return guard(env, [&] {
    const Arguments given(env, info);
    at::Generator generator = generatorOf(env, given[1]);
    const std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(readTensor(env, given[0]));
    return makeUndefined(env);
  });
}

// OpenBLAS has threads of its own that at::set_num_threads does not bound. It is found by name because other BLAS libraries lack the function.
template <class Function>
Function blas(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

napi_value threads(napi_env env, napi_callback_info info) {  // (count?): the count, for OpenMP and OpenBLAS alike
  return guard(env, [&] {
    const Arguments given(env, info);
    if (!isMissing(env, given[0])) {
      const int64_t count = readInt(env, given[0]);
      if (count < 1 || count > 4096) throw Error(code::kArgument, "the number of threads must be from 1 to 4096");
      at::set_num_threads(static_cast<int>(count));
      if (auto set = blas<void (*)(int)>("openblas_set_num_threads")) set(static_cast<int>(count));
    }
    return makeInt(env, at::get_num_threads());
  });
}

napi_value setSwitch(napi_env env, napi_callback_info info) {  // (name, on)
  return guard(env, [&] {
    const Arguments given(env, info);
    const std::string name = readString(env, given[0]);
    const bool on = readBool(env, given[1]);
    at::Context& context = at::globalContext();
    if (name == "mkldnn") {
      context.setUserEnabledMkldnn(on && hasSoundConvolutions());
    } else if (name == "deterministic") {
      context.setDeterministicAlgorithms(on, false);
      context.setDeterministicCuDNN(on);
    } else if (name == "cudnnBenchmark") {  // cuDNN times its algorithms once for each shape
      context.setBenchmarkCuDNN(on);
    } else if (name == "tf32") {  // convolutions in float32 with 10 bits of mantissa, on GPUs that can
      context.setAllowTF32CuDNN(on);
    } else if (name == "flushDenormals") {
      context.setFlushDenormal(on);
    } else {
      throw Error(code::kArgument, "unknown switch \"" + name + "\": expected mkldnn, deterministic, cudnnBenchmark, tf32 or flushDenormals");
    }
    return makeUndefined(env);
  });
}

napi_value information(napi_env env, napi_callback_info) {
  return guard(env, [&] {
    napi_value object;
    check(napi_create_object(env, &object), "object");
    setProperty(env, object, "version", makeString(env, TORCH_VERSION));
    setProperty(env, object, "cuda", makeBool(env, at::hasCUDA()));
    setProperty(env, object, "mkldnn", makeBool(env, at::hasMKLDNN()));
    setProperty(env, object, "soundConvolutions", makeBool(env, hasSoundConvolutions()));
    setProperty(env, object, "configuration", makeString(env, at::show_config()));
    setProperty(env, object, "parallel", makeString(env, at::get_parallel_info()));
    setProperty(env, object, "threads", makeInt(env, at::get_num_threads()));
    const auto config = blas<char* (*)()>("openblas_get_config");
    setProperty(env, object, "blas", config == nullptr ? makeNull(env) : makeString(env, config()));
    const auto core = blas<char* (*)()>("openblas_get_corename");
    setProperty(env, object, "blasCore", core == nullptr ? makeNull(env) : makeString(env, core()));
    const auto count = blas<int (*)()>("openblas_get_num_threads");
    setProperty(env, object, "blasThreads", count == nullptr ? makeNull(env) : makeInt(env, count()));
    return object;
  });
}

}  // namespace

void defineSettings(napi_env env, napi_value exports) {
  define(env, exports, "manualSeed", manualSeed);
  define(env, exports, "generatorState", generatorState);
  define(env, exports, "setGeneratorState", setGeneratorState);
  define(env, exports, "threads", threads);
  define(env, exports, "setSwitch", setSwitch);
  define(env, exports, "information", information);
}

}  // namespace engine
