{
  # Called by scripts/build-native.mjs, which finds libtorch and passes these variables.
  "variables": {
    "torch_includes%": [],
    "torch_libraries%": "",
    "torch_cxx11_abi%": "1",
    "cxx_standard%": "c++17"
  },
  "target_defaults": {
    # Experimental: finalizers then run inside the garbage collection, so a loop that never disposes stays bounded.
    "defines": ["NAPI_EXPERIMENTAL"],
    "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++14", "-std=gnu++20"],
    "cflags_cc": ["-std=<(cxx_standard)", "-O2", "-fexceptions", "-frtti", "-fvisibility=hidden", "-Wall", "-Wextra"]
  },
  "targets": [
    {
      "target_name": "environment",
      "sources": ["environment.cpp"]
    },
    {
      "target_name": "engine",
      "sources": [
        "autograd.cpp", "convert.cpp", "data.cpp", "devices.cpp", "errors.cpp", "handle.cpp", "lists.cpp", "module.cpp",
        "names.cpp", "operators.cpp", "plan.cpp", "settings.cpp", "tensors.cpp", "thread.cpp", "values.cpp"
      ],
      "defines": ["_GLIBCXX_USE_CXX11_ABI=<(torch_cxx11_abi)"],
      "cflags_cc": ["<@(torch_includes)"],
      # no-as-needed: else the linker drops libtorch.so, and with it the registration of CUDA kernels.
      "libraries": ["-L<(torch_libraries)", "-Wl,-rpath,<(torch_libraries)", "-Wl,--no-as-needed", "-ltorch", "-ltorch_cpu", "-lc10"]
    }
  ]
}
