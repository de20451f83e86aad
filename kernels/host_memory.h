// Host memory behind the `ref` and `cpu` devices.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <cstring>

#include "engine/core/context.h"

namespace lamina {

class HostDevice : public Device {
 public:
  void* allocate(std::size_t bytes) override {
    const std::size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    void* data = std::aligned_alloc(kAlignment, rounded == 0 ? kAlignment : rounded);
    if (data == nullptr)
      fail("could not allocate {} MB of host memory; lower the batch size.", bytes >> 20);
    return data;
  }
  void release(void* data) noexcept override { std::free(data); }
  void copy_in(void* device, const void* host, std::size_t bytes) override {
    copy(device, host, bytes);
  }
  void copy_out(void* host, const void* device, std::size_t bytes) override {
    copy(host, device, bytes);
  }
  void copy_on(void* to, const void* from, std::size_t bytes) override { copy(to, from, bytes); }
  void zero(void* device, std::size_t bytes) override {
    if (bytes > 0) std::memset(device, 0, bytes);
  }
  void synchronize() override {}

 private:
  static constexpr std::size_t kAlignment = 64;  // a cache line, and a 512-bit vector
  static void copy(void* to, const void* from, std::size_t bytes) {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }
};

}  // namespace lamina
