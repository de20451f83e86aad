// The sections of report.h's page. Each returns its HTML, or "" when the report lacks its data.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "engine/train/report.h"

namespace lamina {

// report_curves.cpp
std::string curves_section(const RunReport& report);
std::string epochs_section(const RunReport& report);
const EpochRow* best_epoch(const RunReport& report);  // lowest validation loss; null without one

// report_classes.cpp
std::string classes_section(const RunReport& report);
std::string mistakes_section(const RunReport& report);
std::string class_name(const RunReport& report,
                       std::int64_t number);  // escaped; its number without a name

// report_features.cpp
std::string features_section(const RunReport& report);

}  // namespace lamina
