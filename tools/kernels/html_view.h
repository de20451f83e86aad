// A bench result as one HTML page: every kernel with its rates against this machine's ceilings, and
// what changed since a baseline. It loads nothing from elsewhere, and reads without its script,
// which only sorts and filters.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "tools/kernels/bench_file.h"
#include "tools/kernels/compare.h"

namespace lamina::kernel_bench {

struct HtmlOpts {
  std::string title = "Kernels";
  const Comparison* changes = nullptr;  // with a baseline, whose date is:
  std::string base_date = "";
};

std::string bench_html(const BenchFile& file, const HtmlOpts& opts);

}  // namespace lamina::kernel_bench
