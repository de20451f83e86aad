// What the page of html_view.h adds to the report's style sheet, and its script.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace lamina::kernel_bench {

extern const std::string_view kKernelStyle;
extern const std::string_view kKernelScript;  // without <, > and &: it stands in the page as it is

}  // namespace lamina::kernel_bench
