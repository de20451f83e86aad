// Walking an ordered list of samples in batches: prepare() each batch into the right program.
//
// The last, smaller batch has its own program over the same parameters, so that means and batch
// statistics are over the real samples only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/data/batch_stream.h"
#include "engine/data/device_dataset.h"
#include "engine/graph/program.h"

namespace lamina {

class BatchWalk {
 public:
  // count: samples in the list. opts.batch: the size of a full batch. batches_at_once: the most
  // that are loaded by one recording.
  BatchWalk(Model& model,
            const DeviceDataset& data,
            const PrepareOpts& scaling,
            const ProgramOpts& opts,
            std::int64_t count,
            std::int64_t batches_at_once = 1);

  std::size_t arena_bytes() const;
  void bind(std::byte* arena, const StepState* state);
  // `count` sample numbers of the data set, in device memory until the next call.
  void set_order(std::span<const std::int32_t> order);

  // Makes sure that these samples of the order are on the device: what load() does for its batch,
  // for the batches of a recording.
  void stage(std::int64_t begin, std::int64_t end);

  // Fills the input and labels of the program for the batch that starts at `cursor`, which must be
  // what the device-side cursor says.
  Program& load(std::int64_t cursor);

  std::int64_t count() const { return count_; }
  std::int64_t batch() const { return batch_; }  // of a full one
  std::int64_t batches() const { return (count_ + batch_ - 1) / batch_; }
  std::vector<Program*> programs();

  bool streamed() const { return stream_ != nullptr; }
  double waited() const { return stream_ ? stream_->waited() : 0; }  // seconds, for the data set
  std::size_t stream_bytes() const { return stream_ ? stream_->bytes() : 0; }

 private:
  Context* ctx_;
  const DeviceDataset* data_;
  PrepareOpts prepare_;
  std::int64_t count_, batch_;
  std::unique_ptr<Program> full_, tail_;
  Buffer order_;                         // of a resident data set
  std::unique_ptr<BatchStream> stream_;  // of another
  const StepState* state_ = nullptr;
};

// Throws when `planned` bytes are more than the device has free, and says which batch would fit.
void check_memory(Model& model, const ProgramOpts& opts, std::size_t planned);

// Throws when the data set's images cannot be fed to the net: channels differ, or there are more
// classes than outputs. (Sizes may differ: prepare resizes.)
void check_fit(const Graph& graph, const std::string& net, const Dataset& dataset);

}  // namespace lamina
