// SPDX-License-Identifier: Apache-2.0
#include "engine/core/context.h"

#include <chrono>

namespace lamina {

std::string_view name_of(BackendKind kind) {
  switch (kind) {
    case BackendKind::ref:
      return "ref";
    case BackendKind::cpu:
      return "cpu";
    case BackendKind::cuda:
      return "cuda";
  }
  return "?";
}

double Device::time_ms(const std::function<void()>& body) {
  using Clock = std::chrono::steady_clock;
  synchronize();
  const auto begin = Clock::now();
  body();
  synchronize();
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

}  // namespace lamina
