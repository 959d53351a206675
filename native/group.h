// A group of processes: its stores, its backend of c10d, and the thread on which the ends of its calls are waited for.
#pragma once
#include <ATen/core/Tensor.h>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <torch/csrc/distributed/c10d/Types.hpp>
#include <torch/version.h>
#if TORCH_VERSION_MAJOR >= 2
#include <torch/csrc/distributed/c10d/Backend.hpp>
#else
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#endif

#include <atomic>
#include <memory>
#include <vector>

#include "handle.h"
#include "thread.h"
#include "values.h"

namespace engine {

#if TORCH_VERSION_MAJOR >= 2
using Backend = c10d::Backend;
#else
using Backend = c10d::ProcessGroup;
#endif
using Work = c10::intrusive_ptr<c10d::Work>;

struct Group {
  int rank = 0, size = 1;
  std::chrono::milliseconds timeout{0}, answer{0};
  c10::intrusive_ptr<c10d::Store> meeting;  // through which the backend connects
  c10::intrusive_ptr<c10d::Store> notes;    // what the processes tell each other beside it, over a connection of its own
  c10::intrusive_ptr<Backend> backend;
  PrivateThread* waiting = nullptr;  // ends of collective calls
  PrivateThread* noting = nullptr;   // calls of the stores
  std::atomic<int64_t> started{0};   // collective calls so far: tells who is behind

  // Says on a thread of its own that this process lives, so often, until it is told to stop.
  void beat(const std::string& key, std::chrono::milliseconds every);
  void stopBeating();
  // Starts the sum of a contiguous tensor over all processes, in place.
  Work sum(at::Tensor& tensor);
  Backend& connected();
  ~Group() { stopBeating(); }

 private:
  std::thread beating_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
};

std::shared_ptr<Group>& readGroup(napi_env env, napi_value value);
// Waits for a started call; throws what it failed with.
void await(const Work& work);

// An external value that owns a shared pointer, told from others by a mark of its type.
template <class Owned>
struct Shared {
  uint64_t magic;
  std::shared_ptr<Owned> owned;
};

template <class Owned>
napi_value wrapShared(napi_env env, std::shared_ptr<Owned> owned, uint64_t magic) {
  auto held = std::make_unique<Shared<Owned>>(Shared<Owned>{magic, std::move(owned)});
  napi_value value;
  const auto release = [](FinalizeEnv, void* data, void*) { delete static_cast<Shared<Owned>*>(data); };
  check(napi_create_external(env, held.get(), release, nullptr, &value), "external");
  held.release();
  return value;
}

template <class Owned>
std::shared_ptr<Owned>& readShared(napi_env env, napi_value value, uint64_t magic, const char* what) {
  void* data = nullptr;
  if (value == nullptr || napi_get_value_external(env, value, &data) != napi_ok || data == nullptr ||
      static_cast<Shared<Owned>*>(data)->magic != magic)
    throw Error(code::kForeign, std::string("expected ") + what);
  return static_cast<Shared<Owned>*>(data)->owned;
}

// Runs a piece of work on a thread of the group: a promise of what `finish` makes.
napi_value submit(napi_env env, PrivateThread& thread, std::function<void()> run, std::function<napi_value(napi_env)> finish = makeUndefined);

void defineNotes(napi_env env, napi_value exports);
void defineReducer(napi_env env, napi_value exports);

}  // namespace engine
