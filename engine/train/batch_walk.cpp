// SPDX-License-Identifier: Apache-2.0
#include "engine/train/batch_walk.h"

#include <algorithm>

namespace lamina {

BatchWalk::BatchWalk(Model& model,
                     const DeviceDataset& data,
                     const PrepareOpts& scaling,
                     const ProgramOpts& opts,
                     std::int64_t count,
                     std::int64_t batches_at_once)
    : ctx_(&model.context()), data_(&data), prepare_(scaling), count_(count), batch_(opts.batch) {
  LAMINA_CHECK(count > 0, "there is no sample to walk over; the data set or its part is empty.");
  const auto compile = [&](std::int64_t batch) {
    ProgramOpts sized = opts;
    sized.batch = batch;
    return std::make_unique<Program>(model, sized);
  };
  if (count >= batch_) full_ = compile(batch_);
  if (count % batch_ != 0) tail_ = compile(count % batch_);
  if (data.streamed())
    stream_ = std::make_unique<BatchStream>(*ctx_, data.host(), count, batches_at_once * batch_);
  else
    order_ = ctx_->allocate(static_cast<std::size_t>(count) * sizeof(std::int32_t));
}

std::size_t BatchWalk::arena_bytes() const {
  return std::max(full_ ? full_->arena_bytes() : 0, tail_ ? tail_->arena_bytes() : 0);
}

std::vector<Program*> BatchWalk::programs() {
  std::vector<Program*> list;
  if (full_) list.push_back(full_.get());
  if (tail_) list.push_back(tail_.get());
  return list;
}

void BatchWalk::bind(std::byte* arena, const StepState* state) {
  state_ = state;
  for (Program* program : programs()) program->bind(arena, state);
}

void BatchWalk::set_order(std::span<const std::int32_t> order) {
  LAMINA_CHECK(static_cast<std::int64_t>(order.size()) == count_,
               "an order of {} samples was given to a walk over {}.",
               order.size(),
               count_);
  if (stream_)
    stream_->set_order(order);
  else
    ctx_->copy_in(order_.data(), order.data(), order_.size());
}

void BatchWalk::stage(std::int64_t begin, std::int64_t end) {
  if (stream_) stream_->stage(begin, end);
}

Program& BatchWalk::load(std::int64_t cursor) {
  Program& program = cursor + batch_ <= count_ ? *full_ : *tail_;
  stage(cursor, cursor + program.batch());
  prepare(*ctx_,
          prepare_,
          state_,
          stream_ ? stream_->images() : data_->images(),
          stream_ ? stream_->labels() : data_->labels(),
          stream_ ? stream_->order() : vector_view(order_.data(), DType::i32, count_),
          program.input(),
          program.labels(),
          data_->pixels());
  return program;
}

void check_memory(Model& model, const ProgramOpts& opts, std::size_t planned) {
  const std::optional<std::size_t> free = model.context().device().free_bytes();
  if (!free || planned <= *free) return;
  // Memory grows nearly in step with the batch: start from there and go down.
  ProgramOpts smaller = opts;
  smaller.batch = static_cast<std::int64_t>(
      static_cast<double>(opts.batch) * static_cast<double>(*free) / static_cast<double>(planned));
  while (smaller.batch > 0 && Program(model, smaller).arena_bytes() > *free)
    smaller.batch -= 1 + smaller.batch / 16;
  fail(
      "net {} with a batch of {} plans {:.1f} MB of activations, gradients and workspace, and "
      "{:.1f} MB are free on the device; {}.",
      model.graph().title(),
      opts.batch,
      static_cast<double>(planned) / 1e6,
      static_cast<double>(*free) / 1e6,
      smaller.batch > 0 ? fmt::format("a batch of {} fits (--batch)", smaller.batch)
                        : "not even a batch of 1 fits");
}

void check_fit(const Graph& graph, const std::string& net, const Dataset& dataset) {
  const Shape& input = graph.shape(graph.input());
  LAMINA_CHECK(dataset.c == input.c,
               "net {} takes {}-channel images but data set {} has {} channels; choose a net for "
               "such images.",
               net,
               input.c,
               dataset.name,
               dataset.c);
  LAMINA_CHECK(
      dataset.classes <= graph.classes(),
      "net {} has {} outputs but data set {} has {} classes; choose a net with as many outputs.",
      net,
      graph.classes(),
      dataset.name,
      dataset.classes);
}

}  // namespace lamina
