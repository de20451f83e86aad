// An image and what layers of a net make of it, side by side on one picture with captions.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "engine/data/contact_sheet.h"
#include "engine/train/report.h"

namespace lamina {

// about: what the image is, under its name; ASCII. More than five panels stand in rows of five.
Picture feature_sheet(const FeatureView& view, const std::string& about);

}  // namespace lamina
