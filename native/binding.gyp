{
  # Called by scripts/build-native.mjs, which finds libtorch and passes these variables.
  "variables": {
    "torch_includes%": [],
    "torch_libraries%": "",
    # Process groups, where libtorch has c10d: defines, and libraries beside libtorch_cpu.
    "group_defines%": "",
    "group_includes%": "",
    "group_libraries%": "",
    "torch_cxx11_abi%": "1",
    "cxx_standard%": "c++17"
  },
  "target_defaults": {
    # Experimental: finalizers then run inside the garbage collection, so a loop that never disposes stays bounded.
    "defines": ["NAPI_EXPERIMENTAL"],
    "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++14", "-std=gnu++20"],
    "cflags_cc": ["-std=<(cxx_standard)", "-O2", "-fexceptions", "-frtti", "-fvisibility=hidden", "-Wall", "-Wextra"],
    # On macOS gyp reads these instead of cflags_cc.
    "xcode_settings": {
      "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
      "GCC_ENABLE_CPP_RTTI": "YES",
      "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
      "CLANG_CXX_LANGUAGE_STANDARD": "<(cxx_standard)",
      "CLANG_CXX_LIBRARY": "libc++",
      "MACOSX_DEPLOYMENT_TARGET": "11.0"
    }
  },
  "targets": [
    {
      "target_name": "environment",
      "sources": ["environment.cpp"]
    },
    {
      "target_name": "engine",
      "sources": [
        "autograd.cpp", "convert.cpp", "data.cpp", "devices.cpp", "errors.cpp", "group.cpp", "handle.cpp", "lists.cpp", "module.cpp",
        "names.cpp", "notes.cpp", "operators.cpp", "plan.cpp", "reducer.cpp", "settings.cpp", "soundness.cpp", "tensors.cpp", "thread.cpp", "values.cpp"
      ],
      "defines": ["_GLIBCXX_USE_CXX11_ABI=<(torch_cxx11_abi)", "<@(group_defines)"],
      "cflags_cc": ["<@(torch_includes)", "<@(group_includes)", "-idirafter", "<(module_root_dir)/gloo-declarations"],
      "xcode_settings": {
        "OTHER_CPLUSPLUSFLAGS": ["<@(torch_includes)", "<@(group_includes)", "-idirafter", "<(module_root_dir)/gloo-declarations"]
      },
      # no-as-needed, an option of GNU's linker: else the linker drops libtorch.so, and with it the registration of CUDA kernels.
      "conditions": [["OS!='mac'", {"libraries+": ["-Wl,--no-as-needed"]}]],
      "libraries": ["-L<(torch_libraries)", "-Wl,-rpath,<(torch_libraries)", "-ltorch", "<@(group_libraries)", "-ltorch_cpu", "-lc10"]
    }
  ]
}
