// What `lamina kernels test` writes: a line a table, CSV, JUnit, and the tensors of failed cases.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "kernels/suite/table.h"

namespace lamina::cli {

// A header line and a line a case.
std::string csv_of(const std::vector<suite::CaseReport>& reports);

// JUnit's XML as CI systems read it: a testsuite a table, a testcase a case.
std::string junit_of(const std::vector<suite::CaseReport>& reports);

// The case's tensors as one safetensors file in the folder: inputs and the truth in f64, what the
// backend made of it as NAME.got in its own dtype. Returns its path.
std::filesystem::path dump_tensors(const std::filesystem::path& folder,
                                   const suite::CaseKey& key,
                                   const suite::Problem& problem);

}  // namespace lamina::cli
