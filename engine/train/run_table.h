// Runs beside each other: net against parameters, training time and accuracy.
//
// The best of a column is marked where its figures can be compared: accuracies on one data set,
// times on one device, and of finished runs alone.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/train/saved_run.h"

namespace lamina {

struct RunCell {
  std::string text;  // UTF-8, not escaped; a dash where there is nothing to say
  std::string note = {};
  bool best = false;
};

struct RunColumn {
  std::string title;
  bool number = true;    // else words
  bool setting = false;  // what was asked for, not what came of it
  std::vector<RunCell> cells;
};

// run, net, data, parameters, mult-adds, epochs, time, an epoch, images/s, test accuracy with its
// interval, learning rate, optimizer, batch, seed, device.
std::vector<RunColumn> run_columns(std::span<const SavedRun> runs);

// The settings that all runs share, as one text ("data mnist, batch 64"), are taken from the
// columns.
std::string take_shared(std::vector<RunColumn>& columns);

// What the marks and the interval mean: sentences.
std::vector<std::string> run_table_legend(std::span<const SavedRun> runs);

// For terminals; settings that all runs share stand in one line above. Of a single run, a line a
// column.
std::string run_table_text(std::span<const SavedRun> runs);

// An array with an object a run; null where a figure is missing.
std::string run_table_json(std::span<const SavedRun> runs);

}  // namespace lamina
