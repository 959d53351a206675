// Process groups: stores, Gloo and NCCL of libtorch's c10d. A call starts at once and ends in a promise: what waits for
// the other processes is a thread of the group.
#include "module.h"
#include "values.h"

#ifdef FILTERBASIS_GROUPS

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ATen/ATen.h>
#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "group.h"
#include "handle.h"

namespace engine {
namespace {

constexpr uint64_t kGroupMagic = 0x66696c746772706f;

std::vector<uint8_t> bytesOf(const std::string& text) { return {text.begin(), text.end()}; }

c10::intrusive_ptr<c10d::Store> tcpStore(const std::string& host, int64_t port, bool serve, std::chrono::milliseconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(port);
  options.isServer = serve;
  options.waitWorkers = false;
  options.timeout = std::chrono::seconds((timeout.count() + 999) / 1000);  // parts of a second are cut off
  return c10::make_intrusive<c10d::TCPStore>(host, options);
}

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

using Run = std::function<void()>;
using Finish = std::function<napi_value(napi_env)>;

napi_value submit(napi_env env, PrivateThread& thread, Run run, Finish finish = makeUndefined) {
  auto job = std::make_unique<Job>();
  job->run = std::move(run);
  job->finish = std::move(finish);
  return thread.submit(env, std::move(job));
}

// (group, file, prefix) or (group, host, prefix, port, serve): opens the stores
napi_value groupStore(napi_env env, napi_callback_info info) {
  return guard(env, [&] {
    const Arguments given(env, info);
    const auto group = readGroup(env, given[0]);
    const std::string place = readString(env, given[1]), prefix = readString(env, given[2]);
    const int64_t port = isMissing(env, given[3]) ? -1 : readInt(env, given[3]);
    const bool serve = readBoolOr(env, given[4], false);
    return submit(env, *group->noting, [=] {
      c10::intrusive_ptr<c10d::Store> meeting, notes;
      if (port < 0) {
        meeting = notes = c10::make_intrusive<c10d::FileStore>(place, group->size);
      } else {
        meeting = tcpStore(place, port, serve, group->timeout);
        notes = tcpStore(place, port, false, group->timeout);
      }
      for (auto* store : {&meeting, &notes}) {
        *store = c10::make_intrusive<c10d::PrefixStore>(prefix, *store);
        const auto longest = store == &notes ? group->answer : group->timeout;
        (*store)->setTimeout(longest);
        // A server of another kind takes what is set and never answers. The wait also bounds every later answer.
        const std::string key = "reached/" + std::to_string(group->rank);
        (*store)->set(key, bytesOf("1"));
        (*store)->wait({key}, longest);
      }
      group->meeting = meeting;
      group->notes = notes;
    });
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

napi_value groupBeat(napi_env env, napi_callback_info info) {  // (group, key, ms)
  return guard(env, [&] {
    const Arguments given(env, info);
    readGroup(env, given[0])->beat(readString(env, given[1]), std::chrono::milliseconds(readInt(env, given[2])));
    return makeUndefined(env);
  });
}

napi_value groupSet(napi_env env, napi_callback_info info) {  // (group, key, text)
  return guard(env, [&] {
    const Arguments given(env, info);
    const auto group = readGroup(env, given[0]);
    return submit(env, *group->noting, [group, key = readString(env, given[1]), text = readString(env, given[2])] {
      group->notes->set(key, bytesOf(text));
    });
  });
}

napi_value groupAdd(napi_env env, napi_callback_info info) {  // (group, key, number): a promise of the sum
  return guard(env, [&] {
    const Arguments given(env, info);
    const auto group = readGroup(env, given[0]);
    const auto sum = std::make_shared<int64_t>(0);
    return submit(
        env, *group->noting, [=, key = readString(env, given[1]), n = readInt(env, given[2])] { *sum = group->notes->add(key, n); },
        [sum](napi_env then) { return makeInt(then, *sum); });
  });
}

napi_value groupGet(napi_env env, napi_callback_info info) {  // (group, keys): a promise of their texts, null where there is none
  return guard(env, [&] {
    const Arguments given(env, info);
    const auto group = readGroup(env, given[0]);
    std::vector<std::string> keys(readLength(env, given[1]));
    for (uint32_t i = 0; i < keys.size(); i++) keys[i] = readString(env, element(env, given[1], i));
    const auto found = std::make_shared<std::vector<std::optional<std::string>>>();
    return submit(
        env, *group->noting,
        [=] {
          for (const std::string& key : keys) {
            if (!group->notes->check({key})) {
              found->emplace_back();
              continue;
            }
            const auto bytes = group->notes->get(key);
            found->emplace_back(std::string(bytes.begin(), bytes.end()));
          }
        },
        [found](napi_env then) {
          napi_value array;
          check(napi_create_array_with_length(then, found->size(), &array), "array");
          for (size_t i = 0; i < found->size(); i++) {
            const auto& text = (*found)[i];
            check(napi_set_element(then, array, i, text ? makeString(then, *text) : makeNull(then)), "array element");
          }
          return array;
        });
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

void Group::beat(const std::string& key, std::chrono::milliseconds every) {
  stopBeating();
  stopping_ = false;
  beating_ = std::thread([this, key, every, store = notes] {
    for (int64_t count = 1;; count++) {
      try {
        store->set(key, bytesOf(std::to_string(count) + " " + std::to_string(started.load())));
      } catch (...) {
        return;  // the store is gone: whoever waits for an answer of it tells so
      }
      std::unique_lock<std::mutex> lock(mutex_);
      if (wake_.wait_for(lock, every, [this] { return stopping_; })) return;
    }
  });
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
  define(env, exports, "groupStore", groupStore);
  define(env, exports, "groupConnect", groupConnect);
  define(env, exports, "groupBeat", groupBeat);
  define(env, exports, "groupSet", groupSet);
  define(env, exports, "groupAdd", groupAdd);
  define(env, exports, "groupGet", groupGet);
  define(env, exports, "groupAllReduce", groupAllReduce);
  define(env, exports, "groupBroadcast", groupBroadcast);
  define(env, exports, "groupAbort", groupAbort);
  define(env, exports, "groupLeave", groupLeave);
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
