// A bench result for the terminal and for spreadsheets.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/kernels/bench_file.h"

namespace lamina::kernel_bench {

std::string bench_table(const BenchFile& file);
std::string bench_csv(const BenchFile& file);

// One line of CSV by RFC 4180, with its end.
std::string csv_line(const std::vector<std::string>& cells);

// A whole table: columns as wide as their widest cell; numbers, from column `numbers` on, to the
// right.
std::string aligned(const std::vector<std::vector<std::string>>& lines, std::size_t numbers);

// Four digits, whatever the size; "-" when there is no number.
std::string short_number(double value);

}  // namespace lamina::kernel_bench
