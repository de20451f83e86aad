// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/dnnl_by_image.h"

#include <omp.h>

#include <algorithm>

#include "engine/core/parallel.h"
#include "kernels/cpu/device.h"
#include "kernels/cpu/vec.h"

namespace lamina::cpu {

using dnnl::memory;

DnnlByImage::DnnlByImage(Context& ctx,
                         const Shape& in,
                         const Shape& out,
                         DType dtype,
                         const memory::desc& filters,
                         const memory::desc& wanted,
                         const std::function<DnnlCall()>& make)
    : ctx_(&ctx),
      images_(in.n),
      in_bytes_(in.per_sample() * static_cast<std::int64_t>(size_of(dtype))),
      out_bytes_(out.per_sample() * static_cast<std::int64_t>(size_of(dtype))) {
  const auto& engine = device_of(ctx).engine();
  stream_ = dnnl::stream(engine);
  if (filters != wanted) {
    ours_ = memory(filters, engine, DNNL_MEMORY_NONE);
    wanted_ = memory(wanted, engine, DNNL_MEMORY_NONE);
    reorder_ = dnnl::reorder(ours_, wanted_);
    filter_bytes_ =
        static_cast<std::size_t>(round_up(static_cast<std::int64_t>(wanted.get_size()), 64));
  }
  const OneThread one;
  workers_.resize(static_cast<std::size_t>(std::min<std::int64_t>(ctx.threads(), images_)));
  for (Worker& worker : workers_) {
    worker.stream = dnnl::stream(engine);
    worker.call = make();
    call_bytes_ = std::max(call_bytes_, worker.call.workspace_bytes());
  }
  workspace_bytes_ = filter_bytes_ + workers_.size() * call_bytes_;
}

void DnnlByImage::run(const void* in, const void* w, const void* bias, void* out, void* workspace) {
  auto* const scratch = static_cast<std::byte*>(workspace) + filter_bytes_;
  const void* filters = w;
  if (filter_bytes_ > 0) {
    ours_.set_data_handle(const_cast<void*>(w));  // oneDNN has no const handles
    wanted_.set_data_handle(workspace);
    reorder_.execute(stream_, ours_, wanted_);
    stream_.wait();
    filters = workspace;
  }
  const OneThread one;
  parallel_for(*ctx_, images_, 1, [&](std::int64_t begin, std::int64_t end) {
    const auto thread = static_cast<std::size_t>(omp_get_thread_num());
    Worker& worker = workers_[thread];
    for (std::int64_t n = begin; n < end; ++n) {
      const void* const from = static_cast<const std::byte*>(in) + n * in_bytes_;
      void* const to = static_cast<std::byte*>(out) + n * out_bytes_;
      void* const own = scratch + thread * call_bytes_;
      if (bias != nullptr)
        worker.call.run(worker.stream, {from, filters, bias, to}, own);
      else
        worker.call.run(worker.stream, {from, filters, to}, own);
    }
  });
}

}  // namespace lamina::cpu
