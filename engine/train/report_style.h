// The style sheet of report.h's page.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace lamina {

extern const std::string_view kReportStyle;

}  // namespace lamina
