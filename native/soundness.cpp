// Whether this libtorch's convolutions are right. oneDNN computes them over channels filled up to blocks of 8 or 16,
// which has to be with zeros. In Debian 13 (libtorch 2.6 with a oneDNN of its own, 3.7) it is with what the memory held
// before: where that is NaN or infinite, so is the result, at random. Without oneDNN they are right, and slower. A few
// milliseconds tell.
#include "soundness.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <array>
#include <limits>
#include <mutex>

namespace engine {
namespace {

// Freed memory of the sizes that a convolution asks for, full of NaN.
void spoilMemory(int64_t channels, int64_t side) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const int64_t padded : {channels, (channels + 7) / 8 * 8, (channels + 15) / 16 * 16})
    static_cast<void>(at::full({2, padded, side, side}, nan));
}

bool givesNaN() {
  const c10::NoGradGuard guard;
  for (const auto& [channels, filters, side] : {std::array<int64_t, 3>{20, 24, 16}, {56, 24, 16}, {12, 12, 8}}) {
    const at::Tensor x = at::ones({2, channels, side, side});
    const at::Tensor weight = at::ones({filters, channels, 3, 3});
    for (int i = 0; i < 8; i++) {
      spoilMemory(channels, side);
      if (!at::isfinite(at::conv2d(x, weight, {}, 1, 1)).all().item<bool>()) return true;
    }
  }
  return false;
}

}  // namespace

bool hasSoundConvolutions() {
  static std::once_flag once;
  static bool sound = true;
  std::call_once(once, [] {
    at::Context& context = at::globalContext();
    if (!at::hasMKLDNN() || !context.userEnabledMkldnn()) return;
    sound = !givesNaN();
    if (!sound) context.setUserEnabledMkldnn(false);
  });
  return sound;
}

}  // namespace engine
