// SPDX-License-Identifier: Apache-2.0
#include "engine/data/batch_stream.h"

#include <algorithm>
#include <chrono>

#include "engine/core/error.h"

namespace lamina {
namespace {

// While a batch is copied and computed on, the next two are read.
constexpr std::int64_t kBatchesAhead = 2;

}  // namespace

BatchStream::BatchStream(Context& ctx, const Dataset& data, std::int64_t count, std::int64_t room)
    : ctx_(&ctx),
      data_(&data),
      count_(count),
      ahead_(std::min(kBatchesAhead * room, count)),
      shape_{std::min(room, count), data.h, data.w, data.c},
      images_(ctx.allocate(static_cast<std::size_t>(shape_.numel()))),
      labels_(ctx.allocate(static_cast<std::size_t>(shape_.n) * sizeof(std::int32_t))),
      places_(ctx.allocate(static_cast<std::size_t>(count) * sizeof(std::int32_t))) {
  std::vector<std::int32_t> places;
  for (std::int64_t p = 0; p < count; ++p)
    places.push_back(static_cast<std::int32_t>(p % shape_.n));
  ctx.copy_in(places_.data(), places.data(), places_.size());
}

BatchStream::~BatchStream() { stop(); }

void BatchStream::set_order(std::span<const std::int32_t> order) {
  LAMINA_CHECK(std::ssize(order) == count_,
               "an order of {} samples was given to a stream of {}.",
               order.size(),
               count_);
  stop();
  order_.assign(order.begin(), order.end());
  staged_begin_ = staged_end_ = 0;
}

void BatchStream::start(std::int64_t from) {
  stop();
  host_.resize(static_cast<std::size_t>(ahead_ * data_->image_bytes()));
  is_read_.assign(static_cast<std::size_t>(ahead_), 0);
  begin_ = next_ = from;
  stop_ = false;
  thrown_ = nullptr;
  const std::int64_t threads = std::clamp<std::int64_t>(ctx_->threads(), 1, count_ - from);
  for (std::int64_t i = 0; i < threads; ++i) threads_.emplace_back([this] { read_ahead(); });
}

void BatchStream::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  freed_.notify_all();
  threads_.clear();  // joins them
}

std::span<std::uint8_t> BatchStream::slot(std::int64_t position) {
  const auto size = static_cast<std::size_t>(data_->image_bytes());
  return std::span(host_).subspan(static_cast<std::size_t>(position % ahead_) * size, size);
}

void BatchStream::read_ahead() {
  std::unique_lock lock(mutex_);
  while (true) {
    freed_.wait(lock, [&] { return stop_ || next_ >= count_ || next_ < begin_ + ahead_; });
    if (stop_ || next_ >= count_) return;
    const std::int64_t position = next_++;
    lock.unlock();
    std::exception_ptr thrown;
    try {
      data_->read_image(order_[static_cast<std::size_t>(position)], slot(position));
    } catch (...) {
      thrown = std::current_exception();
    }
    lock.lock();
    is_read_[static_cast<std::size_t>(position % ahead_)] = 1;
    if (thrown && !thrown_) thrown_ = thrown;
    if (thrown) stop_ = true;
    read_.notify_one();
  }
}

std::exception_ptr BatchStream::wait_for(std::int64_t begin, std::int64_t end) {
  const auto all_read = [&] {
    for (std::int64_t p = begin; p < end; ++p) {
      if (!is_read_[static_cast<std::size_t>(p % ahead_)]) return false;
    }
    return true;
  };
  const auto start = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  read_.wait(lock, [&] { return thrown_ || all_read(); });
  waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return thrown_;
}

// In runs that are in one piece on the host and on the device.
void BatchStream::copy(std::int64_t begin, std::int64_t end) {
  const std::int64_t size = data_->image_bytes();
  while (begin < end) {
    const std::int64_t from = begin % ahead_, to = begin % shape_.n;
    const std::int64_t run = std::min({end - begin, ahead_ - from, shape_.n - to});
    std::vector<std::int32_t> labels;
    for (std::int64_t p = begin; p < begin + run; ++p)
      labels.push_back(
          data_->labels[static_cast<std::size_t>(order_[static_cast<std::size_t>(p)])]);
    ctx_->copy_in(images_.bytes_at(static_cast<std::size_t>(to * size)),
                  slot(begin).data(),
                  static_cast<std::size_t>(run * size));
    ctx_->copy_in(labels_.bytes_at(static_cast<std::size_t>(to) * sizeof(std::int32_t)),
                  labels.data(),
                  labels.size() * sizeof(std::int32_t));
    begin += run;
  }
}

void BatchStream::stage(std::int64_t begin, std::int64_t end) {
  if (begin >= staged_begin_ && end <= staged_end_) return;
  LAMINA_CHECK(begin >= 0 && begin < end && end <= count_ && end - begin <= shape_.n,
               "samples {} to {} of a stream of {} with room for {} were asked for.",
               begin,
               end,
               count_,
               shape_.n);
  LAMINA_CHECK(!order_.empty(), "a stream was read from before it had an order.");
  if (threads_.empty() || begin_ != begin) start(begin);
  if (const std::exception_ptr thrown = wait_for(begin, end)) {
    stop();
    std::rethrow_exception(thrown);
  }
  copy(begin, end);
  staged_begin_ = begin;
  staged_end_ = end;
  {
    const std::lock_guard lock(mutex_);
    for (std::int64_t p = begin; p < end; ++p) is_read_[static_cast<std::size_t>(p % ahead_)] = 0;
    begin_ = end;
  }
  freed_.notify_all();
  if (end < count_) return;
  stop();
  host_ = {};
}

std::size_t BatchStream::bytes() const {
  return images_.size() + labels_.size() + places_.size() +
         static_cast<std::size_t>(ahead_ * data_->image_bytes());
}

}  // namespace lamina
