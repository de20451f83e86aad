// From the settings of a run to what prepare() does with its training images.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "engine/data/device_dataset.h"
#include "engine/train/config.h"

namespace lamina {

// One "KEY=VALUE" of the settings of the augmentation; throws on any other.
void set_augmentation(TrainConfig& config, const std::string& setting);

// Throws on settings of the augmentation that cannot work, alone or together.
void check_augmentation(const TrainConfig& config);

// `scaling` with what the settings ask for; colours are shifted along those of `train`. Throws when
// its images do not allow it.
PrepareOpts augmented(PrepareOpts scaling, const TrainConfig& config, const Dataset& train);

// Of the images and of the labels of a run.
MixupOpts mixup_of(const TrainConfig& config);

// Images as training would see them, back as bytes: of each image of `data` as many as `draws`, one
// after the other, each from a step of its own. size: height and width; 0: as they are.
Dataset draw_augmented(Context& ctx,
                       const Dataset& data,
                       const TrainConfig& config,
                       std::int64_t size,
                       std::int64_t draws);

}  // namespace lamina
