// The private thread, and the calls that run on it.
#include "thread.h"

#include <torch/csrc/autograd/autograd.h>

#include "convert.h"
#include "handle.h"
#include "module.h"
#include "operators.h"
#include "values.h"

namespace engine {

PrivateThread& PrivateThread::of(napi_env env) {
  void* data = nullptr;
  check(napi_get_instance_data(env, &data), "instance data");
  if (data != nullptr) return *static_cast<PrivateThread*>(data);
  std::unique_ptr<PrivateThread> made(new PrivateThread(env));
  // Called when the environment ends, in a worker thread too: a call that still runs is waited for.
  check(napi_set_instance_data(env, made.get(), [](napi_env, void* thread, void*) { delete static_cast<PrivateThread*>(thread); }, nullptr),
        "instance data");
  return *made.release();
}

PrivateThread& PrivateThread::start(napi_env env) {
  auto* made = new PrivateThread(env);
  made->patient_ = true;
  return *made;
}

PrivateThread::PrivateThread(napi_env env) {
  check(napi_create_threadsafe_function(env, nullptr, nullptr, makeString(env, "filterbasis engine"), 0, 1, nullptr, nullptr, this, settle, &finished_),
        "thread-safe function");
  check(napi_unref_threadsafe_function(env, finished_), "unref");
  // Instance data goes after the thread-safe function; the thread must stop before it.
  check(napi_add_env_cleanup_hook(env, [](void* self) { static_cast<PrivateThread*>(self)->stop(); }, this), "cleanup hook");
  thread_ = std::thread([this] { loop(); });
}

PrivateThread::~PrivateThread() { stop(); }

void PrivateThread::stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (!thread_.joinable()) return;
  if (patient_)
    thread_.detach();  // what it waits for may never come; it says nothing any more and is never freed
  else
    thread_.join();
}

void PrivateThread::loop() {
  for (;;) {
    std::unique_ptr<Job> job;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      job = std::move(queue_.front());
      queue_.pop();
    }
    try {
      const at::ThreadLocalStateGuard guard(job->state);
      job->run();
    } catch (...) {
      job->failure = currentFailure();
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_ && patient_) return;
    // Refused only while the environment ends: then nobody waits for the result.
    if (napi_call_threadsafe_function(finished_, job.get(), napi_tsfn_nonblocking) == napi_ok) job.release();
  }
}

void PrivateThread::settle(napi_env env, napi_value, void* context, void* data) {
  const std::unique_ptr<Job> job(static_cast<Job*>(data));
  if (env == nullptr) return;  // the environment ends
  auto& self = *static_cast<PrivateThread*>(context);
  if (--self.pending_ == 0) napi_unref_threadsafe_function(env, self.finished_);
  napi_value value = nullptr;
  if (!job->failure) {
    try {
      value = job->finish(env);
    } catch (...) {
      job->failure = currentFailure();
    }
  }
  if (!job->failure) {
    napi_resolve_deferred(env, job->promise, value);
    return;
  }
  napi_value kind, message, error;
  if (napi_create_string_utf8(env, job->failure->code, NAPI_AUTO_LENGTH, &kind) == napi_ok &&
      napi_create_string_utf8(env, job->failure->message.c_str(), NAPI_AUTO_LENGTH, &message) == napi_ok &&
      napi_create_error(env, kind, message, &error) == napi_ok)
    napi_reject_deferred(env, job->promise, error);
}

napi_value PrivateThread::submit(napi_env env, std::unique_ptr<Job> job) {
  napi_value promise;
  check(napi_create_promise(env, &job->promise, &promise), "promise");
  if (pending_++ == 0) check(napi_ref_threadsafe_function(env, finished_), "ref");
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    queue_.push(std::move(job));
  }
  wake_.notify_one();
  return promise;
}

namespace {

napi_value callAsync(napi_env env, napi_callback_info info) {  // (operator, ...arguments): a promise of its results
  return guard(env, [&] {
    const Arguments all(env, info);
    const Operator& op = readOperator(env, all[0]);
    const Given given(env, all, 1, op.plans.size() == 1);
    const Plan& plan = choose(env, op.plans, given);
    const auto stack = std::make_shared<torch::jit::Stack>();
    fill(env, plan, given, *stack);
    auto job = std::make_unique<Job>();
    job->run = [stack, overload = plan.overload] { overload.callBoxed(stack.get()); };
    job->finish = [stack](napi_env then) { return fromResults(then, *stack); };
    return PrivateThread::of(env).submit(env, std::move(job));
  });
}

napi_value backwardAsync(napi_env env, napi_callback_info info) {  // as backward: a promise of nothing
  return guard(env, [&] {
    const Arguments given(env, info);
    const bool create = readBoolOr(env, given[3], false), retain = readBoolOr(env, given[2], create);
    auto job = std::make_unique<Job>();
    job->run = [outputs = readTensors(env, given[0]), gradients = readTensors(env, given[1]), retain, create] {
      torch::autograd::backward(outputs, gradients, retain, create);
    };
    job->finish = [](napi_env then) { return makeUndefined(then); };
    return PrivateThread::of(env).submit(env, std::move(job));
  });
}

}  // namespace

void defineAsync(napi_env env, napi_value exports) {
  define(env, exports, "callAsync", callAsync);
  define(env, exports, "backwardAsync", backwardAsync);
}

}  // namespace engine
