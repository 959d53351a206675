// The stores of a group: through one its backend connects, through the other the processes tell each other what goes on.
#ifdef FILTERBASIS_GROUPS

#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <optional>

#include "group.h"
#include "module.h"
#include "values.h"

namespace engine {
namespace {

std::vector<uint8_t> bytesOf(const std::string& text) { return {text.begin(), text.end()}; }

c10::intrusive_ptr<c10d::Store> tcpStore(const std::string& host, int64_t port, bool serve, std::chrono::milliseconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(port);
  options.isServer = serve;
  options.waitWorkers = false;
  options.timeout = std::chrono::seconds((timeout.count() + 999) / 1000);  // parts of a second are cut off
  return c10::make_intrusive<c10d::TCPStore>(host, options);
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

}  // namespace

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

void defineNotes(napi_env env, napi_value exports) {
  define(env, exports, "groupStore", groupStore);
  define(env, exports, "groupBeat", groupBeat);
  define(env, exports, "groupSet", groupSet);
  define(env, exports, "groupAdd", groupAdd);
  define(env, exports, "groupGet", groupGet);
}

}  // namespace engine

#endif
