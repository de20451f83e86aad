// Times a problem with cold caches, and what this device can do at best.
//
// Before every sample a buffer larger than the caches is written: on cuda larger than the L2 of any
// GPU, on a processor four times the L2 of the cores in use (a shared L3 may keep what it likes).
// On cuda the time is that of events around the launches, which were queued behind that write, so
// that the GPU does not wait for them; on a processor it is the wall clock.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "kernels/suite/execute.h"

namespace lamina::suite {

// A device with its scrubbing buffer and its yardstick.
class Stopwatch {
 public:
  explicit Stopwatch(Context& ctx);

  Context& ctx() const { return *ctx_; }
  // One cold run of body in milliseconds.
  double cold_ms(const std::function<void()>& body);
  // A fixed piece of work that has nothing to do with any kernel: how fast the machine is now.
  double yardstick_ms();

  double copy_gbps();                 // reading and writing both count
  double matmul_tflops(DType dtype);  // of the library's products of large square matrices

 private:
  void scrub();

  Context* ctx_;
  Buffer buffer_;
  Buffer work_;
};

// A problem whose tensors lie on the device. Of a small one there are several copies, each of them
// cold, and a sample is the mean over one run of each: a run of microseconds is as fast as its
// memory happens to lie, and hardly longer than the clock takes to read.
class Measurement {
 public:
  // handicap: this share of its time is waited behind every run, to try what finds slow kernels.
  Measurement(Stopwatch& watch, const Problem& problem, double handicap = 0, bool peer = true);

  // The libraries' kernels are those of the processor, in f32.
  static bool has_peer(const Context& ctx, const Problem& problem);

  std::vector<double> samples_ms(std::int64_t count);
  std::vector<double> peer_samples_ms(std::int64_t count);  // the problem has a peer

  // What a run must read and write at least once.
  static double bytes_of(const Problem& problem);

 private:
  std::vector<double> samples_of(std::vector<Instance>& instances,
                                 const std::function<void(Call&)>& body,
                                 double handicap,
                                 std::int64_t count);

  Stopwatch* watch_;
  double handicap_;
  std::unique_ptr<Problem> problem_;    // without its values: the instances refer to it
  std::vector<Instance> own_, others_;  // of the peer, which keeps plans of its own
};

}  // namespace lamina::suite
