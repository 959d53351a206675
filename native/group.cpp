// Process groups: Gloo and NCCL of libtorch's c10d. A call starts at once and ends in a promise: what waits for
// the other processes is a thread of the group.
#include "module.h"
#include "values.h"

#ifdef FILTERBASIS_GROUPS

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ATen/ATen.h>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#include "group.h"
#include "handle.h"

namespace engine {
namespace {

constexpr uint64_t kGroupMagic = 0x66696c746772706f;

// The address of this machine from which a host is reached: what the other processes can reach in turn.
std::string addressTowards(const std::string& host) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  if (getaddrinfo(host.c_str(), "9", &hints, &found) != 0) return "";
  std::string address;
  for (const addrinfo* one = found; one != nullptr && address.empty(); one = one->ai_next) {
    const int socket = ::socket(one->ai_family, one->ai_socktype, one->ai_protocol);
    if (socket < 0) continue;
    sockaddr_storage own{};
    socklen_t length = sizeof own;
    char text[NI_MAXHOST];
    if (::connect(socket, one->ai_addr, one->ai_addrlen) == 0 && getsockname(socket, reinterpret_cast<sockaddr*>(&own), &length) == 0 &&
        getnameinfo(reinterpret_cast<sockaddr*>(&own), length, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0)
      address = text;
    ::close(socket);
  }
  freeaddrinfo(found);
  return address;
}

c10::intrusive_ptr<Backend> gloo(const Group& group, const std::string& interface, const std::string& towards) {
  auto options = c10d::ProcessGroupGloo::Options::create(group.timeout);
  const std::string address = interface.empty() ? addressTowards(towards) : "";
  if (!interface.empty())
    options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForInterface(interface));
  else if (!address.empty())
    options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(address));
  else
    options->devices.push_back(c10d::ProcessGroupGloo::createDefaultDevice());
  return c10::make_intrusive<c10d::ProcessGroupGloo>(group.meeting, group.rank, group.size, options);
}

c10::intrusive_ptr<Backend> nccl(const Group& group) {
#ifdef USE_C10D_NCCL
  // A late or dead process is to be an error of the call that waits, not the end of this one.
  for (const char* name : {"NCCL_BLOCKING_WAIT", "TORCH_NCCL_BLOCKING_WAIT"}) setenv(name, "1", 0);
  for (const char* name : {"NCCL_ASYNC_ERROR_HANDLING", "TORCH_NCCL_ASYNC_ERROR_HANDLING"}) setenv(name, "0", 0);
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = group.timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(group.meeting, group.rank, group.size, options);
#else
  static_cast<void>(group);
  throw Error(code::kUnsupported, "the addon was built without NCCL");
#endif
}

napi_value groupOpen(napi_env env, napi_callback_info info) {  // (rank, size, ms for a call, ms for an answer of the store): a group that is not connected yet
  return guard(env, [&] {
    const Arguments given(env, info);
    // Taken apart on a thread of its own: a backend waits for the calls that it has begun.
    std::shared_ptr<Group> group(new Group, [](Group* left) { std::thread([left] { delete left; }).detach(); });
    group->rank = static_cast<int>(readInt(env, given[0]));
    group->size = static_cast<int>(readInt(env, given[1]));
    group->timeout = std::chrono::milliseconds(readInt(env, given[2]));
    group->answer = std::chrono::milliseconds(readInt(env, given[3]));
    group->waiting = &PrivateThread::start(env);
    group->noting = &PrivateThread::start(env);
    return wrapShared(env, std::move(group), kGroupMagic);
  });
}

napi_value groupConnect(napi_env env, napi_callback_info info) {  // (group, backend, interface, host that all reach)
  return guard(env, [&] {
    const Arguments given(env, info);
    const auto group = readGroup(env, given[0]);
    const std::string backend = readString(env, given[1]), interface = readString(env, given[2]), towards = readString(env, given[3]);
    return submit(env, *group->waiting, [=] { group->backend = backend == "nccl" ? nccl(*group) : gloo(*group, interface, towards); });
  });
}

// Tensors of one element type and device as one; a contiguous tensor that is alone is itself.
struct Flat {
  at::Tensor all;
  std::vector<at::Tensor> parts;
};

std::vector<Flat> flattened(const std::vector<at::Tensor>& tensors) {
  std::vector<Flat> flats;
  for (const at::Tensor& given : tensors) {
    const at::Tensor tensor = given.detach();
    const auto same = [&](const Flat& flat) {
      return flat.parts[0].scalar_type() == tensor.scalar_type() && flat.parts[0].device() == tensor.device();
    };
    const auto at = std::find_if(flats.begin(), flats.end(), same);
    if (at == flats.end())
      flats.push_back({{}, {tensor}});
    else
      at->parts.push_back(tensor);
  }
  for (Flat& flat : flats) {
    if (flat.parts.size() == 1 && flat.parts[0].is_contiguous()) {
      flat.all = flat.parts[0];
      continue;
    }
    std::vector<at::Tensor> rows;
    for (const at::Tensor& part : flat.parts) rows.push_back(part.reshape({-1}));
    flat.all = at::cat(rows);
  }
  return flats;
}

void scatter(const Flat& flat) {
  if (flat.all.is_same(flat.parts[0])) return;
  int64_t at = 0;
  for (const at::Tensor& part : flat.parts) {
    part.copy_(flat.all.narrow(0, at, part.numel()).view(part.sizes()));
    at += part.numel();
  }
}

// (group, tensors, ...): starts one call for all tensors of a kind; the promise ends when the tensors hold the result
template <class Start>
napi_value collective(napi_env env, napi_callback_info info, Start&& start) {
  return guard(env, [&] {
    const Arguments given(env, info);
    const auto group = readGroup(env, given[0]);
    const at::NoGradGuard none;
    auto flats = std::make_shared<std::vector<Flat>>(flattened(readTensors(env, given[1])));
    std::vector<Work> works;
    for (Flat& flat : *flats) works.push_back(start(*group, flat.all, given));
    return submit(env, *group->waiting, [flats, works] {
      const at::NoGradGuard quiet;
      for (const Work& work : works) await(work);
      for (const Flat& flat : *flats) scatter(flat);
    });
  });
}

napi_value groupAllReduce(napi_env env, napi_callback_info info) {  // (group, tensors): their sums, in place
  return collective(env, info, [](Group& group, at::Tensor& all, const Arguments&) { return group.sum(all); });
}

napi_value groupBroadcast(napi_env env, napi_callback_info info) {  // (group, tensors, from)
  return collective(env, info, [env](Group& group, at::Tensor& all, const Arguments& given) {
    c10d::BroadcastOptions options;
    options.rootRank = readInt(env, given[2]);
    options.timeout = group.timeout;
    std::vector<at::Tensor> one{all};
    group.started++;
    return group.connected().broadcast(one, options);
  });
}

napi_value groupLeave(napi_env env, napi_callback_info info) {  // (group): gives connections and memory back
  return guard(env, [&] {
    const Arguments given(env, info);
    const auto group = readGroup(env, given[0]);
    group->stopBeating();
    return submit(env, *group->waiting, [group] {
      group->backend.reset();
      group->meeting.reset();
      group->notes.reset();
    });
  });
}

napi_value groupAbort(napi_env env, napi_callback_info info) {  // (group): closes the connections, so that waiting processes learn of it
  return guard(env, [&] {
    const Arguments given(env, info);
    const auto group = readGroup(env, given[0]);
    return submit(env, *group->waiting, [group] { group->backend.reset(); });
  });
}

napi_value groupBackends(napi_env env, napi_callback_info) {  // names of what this addon was built with
  return guard(env, [&] {
    std::string names = "gloo";
#ifdef USE_C10D_NCCL
    names += " nccl";
#endif
    return makeString(env, names);
  });
}

}  // namespace

napi_value submit(napi_env env, PrivateThread& thread, std::function<void()> run, std::function<napi_value(napi_env)> finish) {
  auto job = std::make_unique<Job>();
  job->run = std::move(run);
  job->finish = std::move(finish);
  return thread.submit(env, std::move(job));
}

std::shared_ptr<Group>& readGroup(napi_env env, napi_value value) {
  return readShared<Group>(env, value, kGroupMagic, "a group of processes");
}

void await(const Work& work) {
  if (!work->wait()) throw Error(code::kLibtorch, "the call was aborted");
}

Backend& Group::connected() {
  if (!backend) throw Error(code::kDisposed, "the group is not connected");
  return *backend;
}

Work Group::sum(at::Tensor& tensor) {
  c10d::AllreduceOptions options;
  options.timeout = std::chrono::seconds((timeout.count() + 999) / 1000);  // parts of a second are cut off
  std::vector<at::Tensor> one{tensor};
  started++;
  return connected().allreduce(one, options);
}

void Group::stopBeating() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (beating_.joinable()) beating_.join();
}

void defineGroups(napi_env env, napi_value exports) {
  define(env, exports, "groupBackends", groupBackends);
  define(env, exports, "groupOpen", groupOpen);
  define(env, exports, "groupConnect", groupConnect);
  define(env, exports, "groupAllReduce", groupAllReduce);
  define(env, exports, "groupBroadcast", groupBroadcast);
  define(env, exports, "groupAbort", groupAbort);
  define(env, exports, "groupLeave", groupLeave);
  defineNotes(env, exports);
  defineReducer(env, exports);
}

}  // namespace engine

#else

namespace engine {

namespace {

napi_value groupBackends(napi_env env, napi_callback_info) {  // none: libtorch has no c10d
  return guard(env, [&] { return makeString(env, ""); });
}

}  // namespace

void defineGroups(napi_env env, napi_value exports) { define(env, exports, "groupBackends", groupBackends); }

}  // namespace engine

#endif
