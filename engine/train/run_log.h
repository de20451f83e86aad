// What a run writes down after each epoch: <run>/log.csv for people and spreadsheets,
// <run>/log.jsonl for programs, with the same rows.
//
// Equal runs write equal rows, save for `seconds` and `images_per_second`, the wall clock.
// Append the row of an epoch before its checkpoint is written: when the run is killed between the
// two, resuming drops the row and the epoch writes it again.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace lamina {

struct EpochRow {
  int epoch = 0;          // counts from 1
  std::int64_t step = 0;  // batches since the start of training
  // Accuracies from 0 to 1; those called 5 count what is right in the first five.
  double train_loss = 0, train_acc = 0, train_acc5 = 0;
  double val_loss = 0, val_acc = 0, val_acc5 = 0;
  bool has_val = false;
  double lr = 0;  // of the last update
  double seconds = 0, images_per_second = 0;
  double data_wait = 0;  // share of the time in which the device waited for data
};

// The rows of a run's log.csv.
std::vector<EpochRow> read_log(const std::filesystem::path& folder);

class RunLog {
 public:
  // Keeps the rows up to epoch `keep_epochs` that an interrupted run left in the folder; a partial
  // last line is dropped. 0 starts new files. A log with a damaged line is a failure that names it.
  RunLog(std::filesystem::path folder, int keep_epochs);

  // On the disk when it returns. A full disk leaves whole lines.
  void append(const EpochRow& row);
  // As the files have them.
  const std::vector<EpochRow>& rows() const { return rows_; }

 private:
  std::filesystem::path csv_, jsonl_;
  std::vector<EpochRow> rows_;
};

}  // namespace lamina
