// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/device.h"

#include <sys/mman.h>

#include <cstdlib>
#include <fstream>

namespace lamina::cpu {
namespace {

// "Intel(R) Xeon(R) Processor", or "CPU" where the system does not tell.
std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

}  // namespace

CpuDevice::CpuDevice(const ContextOpts& opts) : threads_(opts.threads), winograd_(opts.winograd) {
  if (opts.autotune) tuned_plans_.emplace(PlanCache::usual_folder());
  dnnl_checked("opening the CPU", [&] {
    engine_ = dnnl::engine(dnnl::engine::kind::cpu, 0);
    stream_ = dnnl::stream(engine_);
  });
}

std::string CpuDevice::describe() const {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("{}, {} thread{}, oneDNN {}.{}.{}",
                     processor_name(),
                     threads_,
                     threads_ == 1 ? "" : "s",
                     version->major,
                     version->minor,
                     version->patch);
}

// Slabs of megabytes go on huge pages where the system grants them: a step walks all of its memory,
// and page-table misses were measured to cost a lenet_bn step several per cent.
void* CpuDevice::allocate(std::size_t bytes) {
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  if (bytes < kHugePage) return HostDevice::allocate(bytes);
  const std::size_t rounded = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  void* const data = std::aligned_alloc(kHugePage, rounded);
  if (data == nullptr) return HostDevice::allocate(bytes);   // which fails with the reason
  static_cast<void>(madvise(data, rounded, MADV_HUGEPAGE));  // refused: ordinary pages
  return data;
}

void* CpuDevice::scratch_bytes(std::size_t bytes) {
  if (bytes > scratch_.size()) scratch_ = Buffer(*this, bytes);
  return scratch_.data();
}

std::unique_ptr<Device> make_device(const ContextOpts& opts) {
  return std::make_unique<CpuDevice>(opts);
}

}  // namespace lamina::cpu
