// The page that lays runs beside each other: their table and their curves, self-contained as the
// report of one run is.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "engine/train/saved_run.h"

namespace lamina {

// Equal runs give equal bytes.
std::string comparison_html(std::span<const SavedRun> runs);

}  // namespace lamina
