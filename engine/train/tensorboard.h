// The figures of a run as TensorBoard reads them: <run>/events.out.tfevents.lamina, with the rows
// of log.csv and the step losses. `tensorboard --logdir FOLDER_OF_RUNS` shows them.
//
// Tags at the last step of each epoch: loss/train, loss/val, accuracy/train, accuracy/val,
// accuracy_top5/train, accuracy_top5/val, lr, images_per_second, data_wait; at each recorded step:
// loss/step. TensorBoard keeps 32 bits of a value. Equal runs differ in nothing but the times.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/train/run_log.h"

namespace lamina {

using StepLosses = std::vector<std::pair<std::int64_t, double>>;  // step, loss; by rising step

class EventFile {
 public:
  // Writes what the run has done so far. What the file holds beyond that (the run was killed after
  // its checkpoint) or in halves is dropped; what it holds already keeps its time.
  EventFile(const std::filesystem::path& path,
            const std::vector<EpochRow>& rows,
            const StepLosses& losses);

  // `losses` is of the whole run; those that are not in the file yet are added.
  void append(const StepLosses& losses);
  void append(const EpochRow& row, const StepLosses& losses);

 private:
  std::string new_losses(const StepLosses& losses, std::int64_t last_step);

  std::filesystem::path path_;
  std::int64_t last_step_ = 0;  // of the losses in the file
  double last_time_;            // when they were written; seconds since 1970
};

// When the run that wrote the file began, in seconds since 1970; 0 where no such file is.
double first_event_time(const std::filesystem::path& path);

// CRC-32C, as RFC 3720 has it.
std::uint32_t crc32c(std::string_view bytes);
// One record of a TFRecord file.
std::string event_record(std::string_view data);

}  // namespace lamina
