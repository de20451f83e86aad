// The weight gradient of a convolution on oneDNN, cut so that its bits depend on no thread.
// SPDX-License-Identifier: Apache-2.0
#include <omp.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/core/parallel.h"
#include "kernels/cpu/conv2d_dnnl.h"
#include "kernels/cpu/conv2d_lines.h"
#include "kernels/cpu/device.h"
#include "kernels/cpu/storage.h"
#include "kernels/cpu/vec.h"

namespace lamina::cpu {
namespace {

using dnnl::memory;

std::size_t float_bytes(std::int64_t n) { return static_cast<std::size_t>(n) * sizeof(float); }

std::int64_t filter_floats(const Conv2dDesc& d) { return d.r * d.s * d.x.c / d.groups; }

// The taps of a window that meet nothing but padding, r * S + s: their gradients are zero.
std::vector<std::int64_t> blind_taps(const Conv2dDesc& d) {
  const Shape y = d.y();
  const auto blind = [](const Inside& met) { return met.begin == met.end; };
  std::vector<std::int64_t> taps;
  for (std::int64_t r = 0; r < d.r; ++r)
    for (std::int64_t s = 0; s < d.s; ++s)
      if (blind(inside(y.h, d.x.h, r * d.dilation_h - d.pad_h, d.stride_h)) ||
          blind(inside(y.w, d.x.w, s * d.dilation_w - d.pad_w, d.stride_w)))
        taps.push_back(r * d.s + s);
  return taps;
}

Conv2dDesc chunk_of(Conv2dDesc d, std::int64_t images, std::int64_t filters) {
  d.x.n = images;
  d.k = filters;
  return d;
}

}  // namespace

struct DnnlWeightGradient::Chunk {
  std::int64_t images, pixels;  // of the batch, of dy
  const std::byte *x, *dy;
  void *dw, *db;
};

DnnlWeightGradient::Grid weight_gradient_grid(const Conv2dDesc& d) {
  // Nanoseconds, measured on a core with AVX-512: a multiply-add, a float of x or dy read, a float
  // of a partial gradient added up, a float of dy copied, a task, waking threads.
  constexpr double kRead = 0.12, kPartial = 0.25, kCopy = 0.5, kTask = 1500, kFork = 12000;
  const double product = d.dtype == DType::bf16 ? 0.0035 : 0.0125;  // in bf16 by AMX
  constexpr std::int64_t kMostTasks = 32, kFewestFilters = 32;
  // The machine is not known. A grid has to cost little where threads are few and to serve many.
  struct Threads {
    std::int64_t count;
    double weight;
  };
  constexpr Threads kMachines[] = {{1, 2}, {2, 4}, {4, 1}, {8, 0.25}, {16, 0.1}, {32, 0.05}};
  const std::int64_t weights = d.k * filter_floats(d), outputs = d.y().numel();
  const double compute =
      product * static_cast<double>(outputs) * static_cast<double>(filter_floats(d)) +
      kRead * static_cast<double>(d.x.numel() + outputs);
  const auto cost = [&](std::int64_t images, std::int64_t filters) {
    const std::int64_t tasks = images * filters;
    double work = compute + kTask * static_cast<double>(tasks);
    if (filters > 1)
      work += kCopy * static_cast<double>(outputs) +
              kRead * static_cast<double>((filters - 1) * d.x.numel());
    const double adding = images > 1 ? kPartial * static_cast<double>(images * weights) : 0;
    double sum = 0;
    for (const auto& [threads, weight] : kMachines) {
      const auto turns = static_cast<double>((tasks + threads - 1) / threads);
      const double time = work * turns / static_cast<double>(tasks) +
                          adding / static_cast<double>(threads) +
                          (tasks > 1 && threads > 1 ? kFork : 0);
      sum += weight * time * static_cast<double>(threads);
    }
    return sum;
  };
  // Partial gradients may take as much memory as the tensors they come from.
  const std::int64_t most = std::max<std::int64_t>(1 << 16, d.x.numel() + outputs);
  DnnlWeightGradient::Grid best;
  double least = cost(1, 1);
  for (std::int64_t images = 1; images <= std::min(d.x.n, kMostTasks); ++images) {
    if (images > 1 && images * weights > most) break;
    for (std::int64_t filters = 1; images * filters <= kMostTasks; ++filters) {
      const bool even = d.groups == 1 && d.k % (filters * kLanes) == 0;
      if (filters > 1 && (!even || d.k / filters < kFewestFilters)) continue;
      const double here = cost(images, filters);
      if (here < least) best = {images, filters};
      least = std::min(least, here);
    }
  }
  return best;
}

DnnlWeightGradient::DnnlWeightGradient(Context& ctx, const Conv2dDesc& desc, bool with_bias)
    : ctx_(&ctx),
      desc_(desc),
      element_(static_cast<std::int64_t>(size_of(desc.dtype))),
      with_bias_(with_bias),
      grid_(weight_gradient_grid(desc)) {
  partials_ = grid_.images > 1 || desc.dtype != DType::f32;
  if (desc.dtype != DType::f32) blind_taps_ = blind_taps(desc);
  const std::int64_t k = desc.k / grid_.filters;
  const std::int64_t fewest = desc.x.n / grid_.images;
  const std::int64_t largest = (desc.x.n + grid_.images - 1) / grid_.images;
  const std::int64_t tasks = grid_.images * grid_.filters;
  stream_ = dnnl::stream(device_of(ctx).engine());
  {
    const OneThread one;
    workers_.resize(static_cast<std::size_t>(std::min<std::int64_t>(ctx.threads(), tasks)));
    for (Worker& worker : workers_) {
      worker.stream = dnnl::stream(device_of(ctx).engine());
      worker.usual = plan(chunk_of(desc, largest, k), &worker == &workers_.front());
      if (fewest != largest) worker.last = plan(chunk_of(desc, fewest, k), false);
      call_bytes_ =
          std::max({call_bytes_, worker.usual.workspace_bytes(), worker.last.workspace_bytes()});
    }
  }
  // Behind the primitive's part: a copy of dy, and a bias gradient nobody wants.
  Conv2dDesc chunk = chunk_of(desc, largest, k);
  const std::int64_t copy = grid_.filters > 1 ? chunk.y().numel() * element_ : 0;
  worker_bytes_ = round_up(static_cast<std::int64_t>(call_bytes_ + float_bytes(k)) + copy, 64);
  workspace_bytes_ = workers_.size() * worker_bytes_;
  if (!partials_) return;
  const auto inner = static_cast<std::int64_t>(filters_.get_size() / sizeof(float));
  partial_floats_ = round_up(inner, 16) + round_up(k, 16);
  workspace_bytes_ += float_bytes(partial_floats_ * tasks);
  const auto& engine = device_of(ctx).engine();
  const memory::desc ours = dnnl_filters(chunk, desc.dtype).ours;
  if (ours == filters_) return;
  sums_ = memory(filters_, engine, DNNL_MEMORY_NONE);
  dw_ = memory(ours, engine, DNNL_MEMORY_NONE);
  collect_ = dnnl::reorder(sums_, dw_);
}

DnnlCall DnnlWeightGradient::plan(const Conv2dDesc& d, bool first) {
  const auto& engine = device_of(*ctx_).engine();
  const DnnlOperand x = dnnl_image(d.x, d.dtype), y = dnnl_image(d.y(), d.dtype),
                    w = dnnl_filters(d, DType::f32);
  const memory::desc bias = with_bias_
                                ? memory::desc({d.k}, memory::data_type::f32, memory::format_tag::x)
                                : memory::desc();
  const DnnlWindow window(d);
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const auto hint = dnnl_forward_pd(engine, attr, d);
  // All chunks write the filters in the layout that the first one prefers.
  const memory::desc filters = first ? w.open : filters_;
  const auto pd = best_pd([&](bool open) {
    return backward_pd<dnnl::convolution_backward_weights>(engine,
                                                           attr,
                                                           hint,
                                                           dnnl::algorithm::convolution_direct,
                                                           x.layout(open),
                                                           filters,
                                                           bias,
                                                           y.layout(open),
                                                           window.stride,
                                                           window.dilation,
                                                           window.pad,
                                                           window.pad);
  });
  if (first) {
    filters_ = pd.diff_weights_desc();
    name_ = fmt::format("oneDNN {} in {}x{}", pd.impl_info_str(), grid_.images, grid_.filters);
  }
  std::vector<DnnlCall::Operand> outputs{
      {DNNL_ARG_DIFF_WEIGHTS, partials_ ? filters_ : w.ours, filters_}};
  if (with_bias_) outputs.push_back({DNNL_ARG_DIFF_BIAS, bias, bias});
  return {engine,
          dnnl::convolution_backward_weights(pd),
          pd.scratchpad_desc(),
          {{DNNL_ARG_SRC, x.ours, pd.src_desc()}, {DNNL_ARG_DIFF_DST, y.ours, pd.diff_dst_desc()}},
          outputs};
}

void DnnlWeightGradient::run(
    const void* x_in, const void* dy_in, void* dw_out, void* db_out, void* workspace) {
  const auto* const x = static_cast<const std::byte*>(x_in);
  const auto* const dy = static_cast<const std::byte*>(dy_in);
  auto* const dw = static_cast<std::byte*>(dw_out);
  auto* const db = static_cast<std::byte*>(db_out);
  const std::int64_t k = desc_.k / grid_.filters, image = desc_.x.per_sample(),
                     pixels = desc_.y().h * desc_.y().w;
  auto* const scratch = static_cast<std::byte*>(workspace);
  auto* const partial =
      reinterpret_cast<float*>(scratch + workers_.size() * worker_bytes_);  // NOLINT
  {
    const OneThread one;
    const std::int64_t tasks = grid_.images * grid_.filters;
    parallel_for(*ctx_, tasks, 1, [&](std::int64_t begin, std::int64_t end) {
      const auto thread = static_cast<std::size_t>(omp_get_thread_num());
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t part = i % grid_.images, filters = i / grid_.images;
        const std::int64_t first = desc_.x.n * part / grid_.images,
                           last = desc_.x.n * (part + 1) / grid_.images;
        Chunk chunk{.images = last - first,
                    .pixels = (last - first) * pixels,
                    .x = x + first * image * element_,
                    .dy = dy + (first * pixels * desc_.k + filters * k) * element_,
                    .dw = dw + filters * k * filter_floats(desc_) * element_,
                    .db = db != nullptr ? db + filters * k * element_ : nullptr};
        if (partials_) {
          float* const own = partial + i * partial_floats_;
          chunk.dw = own;
          chunk.db = own + partial_floats_ - round_up(k, 16);
        }
        run_chunk(workers_[thread], chunk, scratch + thread * worker_bytes_);
      }
    });
  }
  if (partials_) add_up(dw, db, partial);
  // oneDNN's kernels for bf16 (AMX, 2.6) leave in them what memory held.
  const auto channels = static_cast<std::size_t>(desc_.x.c / desc_.groups * element_);
  for (std::int64_t filter = 0; filter < desc_.k; ++filter)
    for (std::int64_t tap : blind_taps_)
      std::memset(
          dw + static_cast<std::size_t>(filter * desc_.r * desc_.s + tap) * channels, 0, channels);
}

void DnnlWeightGradient::run_chunk(Worker& worker, const Chunk& chunk, std::byte* scratch) {
  const std::int64_t k = desc_.k / grid_.filters;
  const bool usual = chunk.images * grid_.images >= desc_.x.n;
  std::byte* const spare = scratch + call_bytes_;
  const std::byte* dy = chunk.dy;
  if (grid_.filters > 1) {
    std::byte* const copy = spare + float_bytes(k);
    const std::int64_t row = k * element_;
    for (std::int64_t i = 0; i < chunk.pixels; ++i)
      std::memcpy(copy + i * row, chunk.dy + i * desc_.k * element_, static_cast<std::size_t>(row));
    dy = copy;
  }
  DnnlCall& call = usual ? worker.usual : worker.last;
  if (with_bias_)
    call.run(
        worker.stream, {chunk.x, dy, chunk.dw, chunk.db != nullptr ? chunk.db : spare}, scratch);
  else
    call.run(worker.stream, {chunk.x, dy, chunk.dw}, scratch);
}

void DnnlWeightGradient::add_up(std::byte* dw, std::byte* db, float* partial) {
  const std::int64_t k = desc_.k / grid_.filters;
  const auto inner = static_cast<std::int64_t>(filters_.get_size() / sizeof(float));
  const auto sum = [&](const float* from, auto* to, std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; i += kLanes) {
      const std::int64_t count = std::min(kLanes, end - i);
      Vec v = load_some(from + i, count);
      for (std::int64_t part = 1; part < grid_.images; ++part)
        v += load_some(from + part * partial_floats_ + i, count);
      store_some(to + i, v, count);
    }
  };
  for (std::int64_t filters = 0; filters < grid_.filters; ++filters) {
    float* const from = partial + filters * grid_.images * partial_floats_;
    void* const ours = dw + filters * k * filter_floats(desc_) * element_;
    float* const to = collect_ ? from : static_cast<float*>(ours);
    if (grid_.images > 1 || !collect_)
      parallel_for(*ctx_, inner, 4096, [&](std::int64_t begin, std::int64_t end) {
        sum(from, to, begin, end);
      });
    if (db != nullptr)
      visit_storage(desc_.dtype, [&]<class T>(T) {
        T* const own = static_cast<T*>(static_cast<void*>(db + filters * k * element_));
        sum(from + partial_floats_ - round_up(k, 16), own, 0, k);
      });
    if (!collect_) continue;
    sums_.set_data_handle(from);
    dw_.set_data_handle(ours);
    collect_.execute(stream_, sums_, dw_);
    stream_.wait();
  }
}

}  // namespace lamina::cpu
