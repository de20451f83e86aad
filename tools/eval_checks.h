// What `lamina eval` tells about weights that may come from elsewhere: whether the pixels reach the
// net as in training, and whether its outputs stand in the data set's order.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "engine/train/evaluate.h"

namespace lamina::cli {

// "pixels reach the net from -0.4242 to 2.821, mean 0.0014, deviation 0.9999"
std::string input_text(const Dataset& dataset, const PrepareOpts& scaling);

// Renumbers the labels: output i of the net stands for the class order[i] of the data set, by
// number or name, with commas between them.
void reorder_classes(const std::string& order, Dataset& dataset);

// Advice where the confusion matrix looks like another order of the classes or like chance; else
// empty.
std::string advice(const EvalResult& result, const Dataset& dataset, std::int64_t outputs);

}  // namespace lamina::cli
