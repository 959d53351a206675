// One private thread for each JavaScript thread that asks: asynchronous calls run there, one after another.
// Not the pool of libuv: each of its threads would start an OpenMP team of its own.
#pragma once
#include <ATen/ThreadLocalState.h>
#include <node_api.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <queue>
#include <thread>

#include "errors.h"

namespace engine {

// A piece of work: `run` on the private thread, `finish` back on the JavaScript one.
struct Job {
  napi_deferred promise = nullptr;
  at::ThreadLocalState state;  // gradients on or off as where the call was made
  std::function<void()> run;
  std::function<napi_value(napi_env)> finish;
  std::optional<Failure> failure;
};

class PrivateThread {
 public:
  // The thread of this environment; started on first use, joined when the environment ends.
  static PrivateThread& of(napi_env env);
  // One more thread of this environment, for what may wait long. It is left behind when the environment ends.
  static PrivateThread& start(napi_env env);
  ~PrivateThread();
  // A promise for what `finish` makes.
  napi_value submit(napi_env env, std::unique_ptr<Job> job);

 private:
  explicit PrivateThread(napi_env env);
  void loop();
  void stop();
  static void settle(napi_env env, napi_value, void* context, void* data);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::queue<std::unique_ptr<Job>> queue_;
  bool stopping_ = false;
  bool patient_ = false;
  size_t pending_ = 0;  // of the JavaScript thread only: keeps the event loop alive while it is not zero
  napi_threadsafe_function finished_ = nullptr;
  std::thread thread_;
};

}  // namespace engine
