// Making a context: opens the device of a backend.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/core/context.h"

namespace lamina {

struct ContextOpts {
  BackendKind backend = BackendKind::cpu;
  int threads = 0;        // 0: as many as the machine (or OMP_NUM_THREADS) gives; ref and cpu only
  bool tf32 = false;      // factors of f32 products in 10 bits of mantissa; cuda only
  bool autotune = false;  // choose convolutions by their time; see plan_cache.h
  // 3x3 convolutions with a quarter of the multiplications where that is faster, for roundings some
  // ten times as large; cpu only (conv2d_winograd.cpp).
  bool winograd = false;
};

Context make_context(const ContextOpts& opts);

// What `lamina devices` lists: each backend, whether it can run here, and if not why not.
struct DeviceReport {
  BackendKind backend;
  bool usable = false;
  std::string description;
};
std::vector<DeviceReport> list_devices();

namespace ref {
std::unique_ptr<Device> make_device(int threads);
}
namespace cpu {
std::unique_ptr<Device> make_device(const ContextOpts& opts);  // threads: not 0
}
namespace cuda {
// Throws with the reason when there is no usable GPU.
std::unique_ptr<Device> make_device(const ContextOpts& opts);
}  // namespace cuda

}  // namespace lamina
