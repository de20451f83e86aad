// SPDX-License-Identifier: Apache-2.0
#include "kernels/suite/measure.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include <omp.h>
#include <unistd.h>

#include "kernels/linear.h"

namespace lamina::suite {
namespace {

constexpr std::size_t kMega = 1 << 20;
constexpr std::size_t kScrubGpu = 512 * kMega;  // L2 is 126 MB in the largest of today
constexpr std::size_t kYardstick = 4 * kMega;   // half of it is copied to the other half
constexpr int kCeilingRuns = 7;
constexpr double kBytesOfCopies = 512e3;  // of a problem's copies together
constexpr std::int64_t kMostCopies = 16;

std::size_t scrub_bytes(const Context& ctx) {
  if (ctx.backend() == BackendKind::cuda) return kScrubGpu;
  const long cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
  const std::size_t l2 = cache > 0 ? static_cast<std::size_t>(cache) : 2 * kMega;
  return std::max(16 * kMega, 4 * l2 * static_cast<std::size_t>(ctx.threads()));
}

// Calls body(first byte, bytes) on every thread, each with its part: it empties its core's caches.
template <class Body>
void for_all_parts(std::size_t bytes, const Body& body) {
#pragma omp parallel
  {
    const auto threads = static_cast<std::size_t>(omp_get_num_threads());
    const auto mine = static_cast<std::size_t>(omp_get_thread_num());
    const std::size_t begin = bytes / threads * mine;
    body(begin, mine + 1 == threads ? bytes - begin : bytes / threads);
  }
}

void write_by_all(std::byte* data, std::size_t bytes, int value) {
  for_all_parts(bytes,
                [&](std::size_t at, std::size_t count) { std::memset(data + at, value, count); });
}

void copy_by_all(std::byte* to, const std::byte* from, std::size_t bytes) {
  for_all_parts(bytes,
                [&](std::size_t at, std::size_t count) { std::memcpy(to + at, from + at, count); });
}

// Multiplications and additions in registers, by all threads. Its result keeps it alive.
float spin_by_all() {
  float sum = 0;
#pragma omp parallel reduction(+ : sum)
  {
    float lanes[64];
    for (int i = 0; i < 64; ++i) lanes[i] = static_cast<float>(i + omp_get_thread_num());
    for (int turn = 0; turn < 60000; ++turn)
      for (float& lane : lanes) lane = lane * 0.999f + 0.001f;
    for (float lane : lanes) sum += lane;
  }
  return sum;
}

}  // namespace

Stopwatch::Stopwatch(Context& ctx)
    : ctx_(&ctx), buffer_(ctx.allocate(scrub_bytes(ctx))), work_(ctx.allocate(kYardstick)) {
  ctx.zero(work_.data(), work_.size());
}

void Stopwatch::scrub() {
  if (ctx_->backend() == BackendKind::cuda)
    ctx_->zero(buffer_.data(), buffer_.size());
  else
    write_by_all(buffer_.bytes_at(0), buffer_.size(), 0x55);
}

double Stopwatch::cold_ms(const std::function<void()>& body) {
  scrub();
  return ctx_->device().time_ms(body);
}

double Stopwatch::yardstick_ms() {
  const std::size_t half = work_.size() / 2;
  return cold_ms([&] {
    if (ctx_->backend() == BackendKind::cuda) {
      for (int turn = 0; turn < 32; ++turn) ctx_->zero(buffer_.data(), 32 * kMega);
      return;
    }
    copy_by_all(work_.bytes_at(half), work_.bytes_at(0), half);
    const float sum = spin_by_all();
    std::memcpy(work_.data(), &sum, sizeof sum);
  });
}

double Stopwatch::copy_gbps() {
  // Both halves far beyond every cache that is a core's own.
  const bool gpu = ctx_->backend() == BackendKind::cuda;
  const std::size_t bytes = (gpu ? 1024 : 256) * kMega;
  const Buffer from = ctx_->allocate(bytes), to = ctx_->allocate(bytes);
  if (gpu) {
    ctx_->zero(from.data(), bytes);
  } else {
    write_by_all(from.bytes_at(0), bytes, 1);
    write_by_all(to.bytes_at(0), bytes, 2);
  }
  std::vector<double> times;
  for (int run = 0; run < kCeilingRuns; ++run)
    times.push_back(ctx_->device().time_ms([&] {
      if (gpu)
        ctx_->device().copy_on(to.data(), from.data(), bytes);
      else
        copy_by_all(to.bytes_at(0), from.bytes_at(0), bytes);
    }));
  return 2 * static_cast<double>(bytes) / 1e6 / *std::min_element(times.begin(), times.end());
}

double Stopwatch::matmul_tflops(DType dtype) {
  const std::int64_t size = ctx_->backend() == BackendKind::cuda ? 8192 : 1536;
  const auto plan =
      make_linear(*ctx_, {.n = size, .in = size, .k = size, .bias = false, .dtype = dtype});
  const Shape shape = features(size, size);
  const std::size_t bytes = static_cast<std::size_t>(shape.numel()) * size_of(dtype);
  std::vector<Buffer> memory;
  for (int i = 0; i < 3; ++i) {
    memory.push_back(ctx_->allocate(bytes));
    ctx_->zero(memory.back().data(), bytes);
  }
  const Buffer workspace = ctx_->allocate(plan->workspace_bytes());
  const auto at = [&](std::size_t i) { return Tensor{memory[i].data(), dtype, shape}; };
  std::vector<double> times;
  for (int run = 0; run < kCeilingRuns; ++run)
    times.push_back(
        ctx_->device().time_ms([&] { plan->forward(at(0), at(1), {}, at(2), workspace.data()); }));
  const double products = 2.0 * static_cast<double>(size) * static_cast<double>(size * size);
  return products / 1e9 / *std::min_element(times.begin(), times.end());
}

bool Measurement::has_peer(const Context& ctx, const Problem& problem) {
  return problem.peer && ctx.backend() == BackendKind::cpu && problem.dtype == DType::f32;
}

Measurement::Measurement(Stopwatch& watch, const Problem& problem, double handicap, bool peer)
    : watch_(&watch), handicap_(handicap), problem_(std::make_unique<Problem>(problem)) {
  const auto copies = std::clamp<std::int64_t>(
      static_cast<std::int64_t>(kBytesOfCopies / bytes_of(problem)), 1, kMostCopies);
  const auto make = [&](std::vector<Instance>& to) {
    for (std::int64_t i = 0; i < copies; ++i)
      to.emplace_back(watch.ctx(), problem.dtype, *problem_, CallOpts{.unwatched = true});
  };
  make(own_);
  if (peer && has_peer(watch.ctx(), problem)) make(others_);
  for (Slot& slot : problem_->slots) Values().swap(slot.values);
}

std::vector<double> Measurement::samples_of(std::vector<Instance>& instances,
                                            const std::function<void(Call&)>& body,
                                            double handicap,
                                            std::int64_t count) {
  using Clock = std::chrono::steady_clock;
  for (Instance& instance : instances) instance.run(body);  // makes the plans
  std::vector<double> times;
  for (std::int64_t i = 0; i < count; ++i) {
    const double ms = watch_->cold_ms([&] {
      const auto begin = Clock::now();
      for (Instance& instance : instances) instance.run(body);
      if (handicap == 0) return;
      const std::chrono::duration<double> took = Clock::now() - begin;
      while (Clock::now() - begin < took * (1 + handicap)) {
      }
    });
    times.push_back(ms / static_cast<double>(instances.size()));
  }
  return times;
}

std::vector<double> Measurement::samples_ms(std::int64_t count) {
  return samples_of(own_, problem_->body, handicap_, count);
}

std::vector<double> Measurement::peer_samples_ms(std::int64_t count) {
  return samples_of(others_, problem_->peer, 0, count);
}

double Measurement::bytes_of(const Problem& problem) {
  double bytes = 0;
  for (const Slot& slot : problem.slots) {
    const double size = static_cast<double>(slot.shape.numel()) *
                        static_cast<double>(size_of(stored_dtype(slot, problem.dtype)));
    bytes += slot.role == Role::inout ? 2 * size : size;
  }
  return bytes;
}

}  // namespace lamina::suite
