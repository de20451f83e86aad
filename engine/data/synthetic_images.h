// Images of noise that need no file: to measure how fast networks train on large colour images.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/data/dataset.h"

namespace lamina {

struct DatasetInfo;

// Squares of opts.image_size with 3 channels, as many as opts.limit says (0: the counts of `info`).
// Image and label i are pure functions of (seed, part, i). There is nothing in them to learn.
Dataset draw_synthetic_images(const DatasetInfo& info, Part part, const DataOpts& opts);

}  // namespace lamina
