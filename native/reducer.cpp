// Gradients averaged over the processes of a group while the backward pass goes on: parameters lie in buckets; when
// every gradient of a bucket is there, the sum of the bucket starts, in the order of the buckets on every process.
#ifdef FILTERBASIS_GROUPS

#include <ATen/ATen.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include "group.h"
#include "handle.h"
#include "module.h"
#include "values.h"

namespace engine {
namespace {

constexpr uint64_t kReducerMagic = 0x66696c7472656475;

struct Bucket {
  at::Tensor flat;
  std::vector<size_t> members;
  size_t pending = 0;
  Work work;
};

struct Reducer {
  std::shared_ptr<Group> group;
  std::vector<at::Tensor> parameters;
  std::vector<std::shared_ptr<torch::autograd::Node>> accumulators;  // of leaves; they live as long as somebody holds them
  std::vector<Bucket> buckets;
  std::vector<size_t> bucketOf;
  std::vector<at::Tensor> views;  // of a parameter's place in its bucket
  at::Tensor extras;              // numbers that go with the last bucket
  std::vector<bool> seen;
  size_t next = 0;
  bool armed = false, overlap = true;
  std::mutex mutex;

  void ready(size_t i) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (!armed || seen[i]) return;
    seen[i] = true;
    const at::NoGradGuard none;
    at::mul_out(views[i], parameters[i].grad(), at::scalar_tensor(1.0 / group->size, views[i].options().device(at::kCPU)));
    buckets[bucketOf[i]].pending--;
    if (overlap) launch();
  }

  // Starts the sums of the buckets that are complete, up to the first that is not; the last one waits for the numbers.
  void launch() {
    const size_t end = armed ? buckets.size() - 1 : buckets.size();
    for (; next < end && buckets[next].pending == 0; next++) buckets[next].work = group->sum(buckets[next].flat);
  }
};

class WhenAccumulated : public torch::autograd::FunctionPostHook {
 public:
  WhenAccumulated(std::weak_ptr<Reducer> reducer, size_t i) : reducer_(std::move(reducer)), i_(i) {}
  torch::autograd::variable_list operator()(const torch::autograd::variable_list& outputs, const torch::autograd::variable_list&) override {
    if (const auto reducer = reducer_.lock()) reducer->ready(i_);
    return outputs;
  }

 private:
  std::weak_ptr<Reducer> reducer_;
  size_t i_;
};

// The last layers' gradients come first. A small first bucket, that sums begin early; the others as large as said.
void fillBuckets(Reducer& reducer, int64_t first, int64_t other) {
  auto& buckets = reducer.buckets;
  const auto& parameters = reducer.parameters;
  int64_t bytes = 0;
  reducer.bucketOf.resize(parameters.size());
  for (size_t i = parameters.size(); i-- > 0;) {
    const at::Tensor& parameter = parameters[i];
    const bool changes = !buckets.empty() && (parameters[buckets.back().members[0]].scalar_type() != parameter.scalar_type() ||
                                                 parameters[buckets.back().members[0]].device() != parameter.device());
    if (buckets.empty() || changes || bytes >= (buckets.size() == 1 ? first : other)) {
      buckets.emplace_back();
      bytes = 0;
    }
    reducer.bucketOf[i] = buckets.size() - 1;
    buckets.back().members.push_back(i);
    bytes += static_cast<int64_t>(parameter.nbytes());
  }
}

constexpr int64_t kExtras = 8;

void allocate(Reducer& reducer) {
  reducer.views.resize(reducer.parameters.size());
  for (size_t b = 0; b < reducer.buckets.size(); b++) {
    Bucket& bucket = reducer.buckets[b];
    int64_t length = b + 1 == reducer.buckets.size() ? kExtras : 0, at = 0;
    for (size_t i : bucket.members) length += reducer.parameters[i].numel();
    bucket.flat = at::zeros({length}, reducer.parameters[bucket.members[0]].options().requires_grad(false));
    for (size_t i : bucket.members) {
      const at::Tensor& parameter = reducer.parameters[i];
      reducer.views[i] = bucket.flat.narrow(0, at, parameter.numel()).view(parameter.sizes());
      at += parameter.numel();
    }
  }
  const at::Tensor& last = reducer.buckets.back().flat;
  reducer.extras = last.narrow(0, last.numel() - kExtras, kExtras);
}

napi_value reducerOpen(napi_env env, napi_callback_info info) {  // (group, parameters, bytes of the first bucket, of the others)
  return guard(env, [&] {
    const Arguments given(env, info);
    auto reducer = std::make_shared<Reducer>();
    reducer->group = readGroup(env, given[0]);
    reducer->parameters = readTensors(env, given[1]);
    if (reducer->parameters.empty()) throw Error(code::kArgument, "expected parameters");
    for (const at::Tensor& parameter : reducer->parameters)
      if (!parameter.is_leaf() || !parameter.requires_grad()) throw Error(code::kArgument, "expected leaves that require gradients");
    fillBuckets(*reducer, readInt(env, given[2]), readInt(env, given[3]));
    allocate(*reducer);
    for (size_t i = 0; i < reducer->parameters.size(); i++) {
      reducer->accumulators.push_back(torch::autograd::impl::grad_accumulator(reducer->parameters[i]));
      reducer->accumulators.back()->add_post_hook(std::make_unique<WhenAccumulated>(reducer, i));
    }
    return wrapShared(env, std::move(reducer), kReducerMagic);
  });
}

std::shared_ptr<Reducer>& readReducer(napi_env env, napi_value value) {
  auto& reducer = readShared<Reducer>(env, value, kReducerMagic, "a reducer");
  if (!reducer) throw Error(code::kDisposed, "the reducer was closed");
  return reducer;
}

napi_value reducerBegin(napi_env env, napi_callback_info info) {  // (reducer, overlap): before a backward pass
  return guard(env, [&] {
    const Arguments given(env, info);
    Reducer& reducer = *readReducer(env, given[0]);
    const std::lock_guard<std::mutex> lock(reducer.mutex);
    reducer.seen.assign(reducer.parameters.size(), false);
    for (Bucket& bucket : reducer.buckets) bucket.pending = bucket.members.size();
    reducer.next = 0;
    reducer.overlap = readBoolOr(env, given[1], true);
    reducer.armed = true;
    return makeUndefined(env);
  });
}

std::vector<double> readNumbers(napi_env env, napi_value array) {
  const uint32_t count = readLength(env, array);
  if (count > kExtras) throw Error(code::kArgument, "too many numbers");
  std::vector<double> numbers(kExtras, 0);
  for (uint32_t i = 0; i < count; i++) numbers[i] = readDouble(env, element(env, array, i));
  return numbers;
}

// (reducer, numbers): a promise of the numbers' sums, when every gradient is the mean over the processes. A parameter without a
// gradient here counts as zeros.
napi_value reducerFinish(napi_env env, napi_callback_info info) {
  return guard(env, [&] {
    const Arguments given(env, info);
    const auto reducer = readReducer(env, given[0]);
    const std::vector<double> numbers = readNumbers(env, given[1]);
    {
      const std::lock_guard<std::mutex> lock(reducer->mutex);
      const at::NoGradGuard none;
      reducer->armed = false;
      reducer->extras.copy_(at::tensor(numbers, at::kDouble));
      for (size_t i = 0; i < reducer->parameters.size(); i++)
        if (!reducer->seen[i]) reducer->views[i].zero_();
      for (Bucket& bucket : reducer->buckets) bucket.pending = 0;
      reducer->launch();
    }
    auto sums = std::make_shared<std::vector<double>>();
    auto job = std::make_unique<Job>();
    job->run = [reducer, sums] {
      const at::NoGradGuard none;
      for (const Bucket& bucket : reducer->buckets) await(bucket.work);
      for (size_t i = 0; i < reducer->parameters.size(); i++) {
        const at::Tensor& gradient = reducer->parameters[i].grad();
        if (gradient.defined()) gradient.copy_(reducer->views[i]);
      }
      const at::Tensor host = reducer->extras.to(at::kCPU, at::kDouble).contiguous();
      sums->assign(host.data_ptr<double>(), host.data_ptr<double>() + kExtras);
    };
    job->finish = [sums](napi_env then) {
      napi_value array;
      check(napi_create_array_with_length(then, sums->size(), &array), "array");
      for (size_t i = 0; i < sums->size(); i++) check(napi_set_element(then, array, i, makeDouble(then, (*sums)[i])), "array element");
      return array;
    };
    return reducer->group->waiting->submit(env, std::move(job));
  });
}

napi_value reducerSizes(napi_env env, napi_callback_info info) {  // (reducer): bytes of each bucket, in the order in which they go
  return guard(env, [&] {
    const Arguments given(env, info);
    const auto& buckets = readReducer(env, given[0])->buckets;
    napi_value array;
    check(napi_create_array_with_length(env, buckets.size(), &array), "array");
    for (size_t i = 0; i < buckets.size(); i++)
      check(napi_set_element(env, array, i, makeInt(env, static_cast<int64_t>(buckets[i].flat.nbytes()))), "array element");
    return array;
  });
}

napi_value reducerClose(napi_env env, napi_callback_info info) {  // (reducer): gives the buckets' memory and the parameters back
  return guard(env, [&] {
    const Arguments given(env, info);
    readReducer(env, given[0]).reset();
    return makeUndefined(env);
  });
}

}  // namespace

void defineReducer(napi_env env, napi_value exports) {
  define(env, exports, "reducerOpen", reducerOpen);
  define(env, exports, "reducerBegin", reducerBegin);
  define(env, exports, "reducerFinish", reducerFinish);
  define(env, exports, "reducerSizes", reducerSizes);
  define(env, exports, "reducerClose", reducerClose);
}

}  // namespace engine

#endif
