// A data set that stays on the host: threads read ahead of the step, in the order of the epoch, and
// what the next step takes is copied to the device.
//
// The device holds a ring of samples: sample p of the order lies at place p % room of images() and
// labels(), which is what order() says of every p. So prepare() works on the ring as it does on a
// resident set, and a step that was recorded finds it in the same place.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <exception>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "engine/core/context.h"
#include "engine/data/dataset.h"

namespace lamina {

class BatchStream {
 public:
  // count: samples in the order. room: of the ring, the most that one stage() takes. The data set
  // outlives the stream.
  BatchStream(Context& ctx, const Dataset& data, std::int64_t count, std::int64_t room);
  ~BatchStream();
  BatchStream(const BatchStream&) = delete;
  BatchStream& operator=(const BatchStream&) = delete;

  // `count` sample numbers of the data set. What was read ahead is dropped.
  void set_order(std::span<const std::int32_t> order);

  // Waits until the samples [begin, end) of the order are read, and copies them to the device.
  // Nothing to do where they are there. What a thread could not read is thrown here.
  void stage(std::int64_t begin, std::int64_t end);

  Tensor images() const { return {images_.data(), DType::u8, shape_}; }
  Tensor labels() const { return vector_view(labels_.data(), DType::i32, shape_.n); }
  Tensor order() const { return vector_view(places_.data(), DType::i32, count_); }

  double waited() const { return waited_; }  // seconds of all stage() calls
  std::size_t bytes() const;                 // on the device and on the host

 private:
  void start(std::int64_t from);
  void stop();
  void read_ahead();
  std::exception_ptr wait_for(std::int64_t begin, std::int64_t end);  // what a thread threw
  void copy(std::int64_t begin, std::int64_t end);
  std::span<std::uint8_t> slot(std::int64_t position);

  Context* ctx_;
  const Dataset* data_;
  std::int64_t count_, ahead_;  // ahead_: samples that the host holds
  Shape shape_;                 // of the ring
  Buffer images_, labels_, places_;
  std::vector<std::int32_t> order_;
  std::int64_t staged_begin_ = 0, staged_end_ = 0;
  double waited_ = 0;

  // Shared with the threads.
  std::mutex mutex_;
  std::condition_variable read_, freed_;
  std::vector<std::uint8_t> host_;  // place p % ahead_
  std::vector<char> is_read_;
  std::int64_t begin_ = 0, next_ = 0;  // the first that is not staged; the first nobody has taken
  bool stop_ = false;
  std::exception_ptr thrown_;
  std::vector<std::jthread> threads_;
};

}  // namespace lamina
