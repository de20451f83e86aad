// Suites with one instance a backend that can run here.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ostream>
#include <string>

#include <gtest/gtest.h>

#include "kernels/suite/report.h"
#include "kernels/suite/suite.h"

namespace lamina {

// How GoogleTest names a parameter in its messages.
inline void PrintTo(BackendKind kind, std::ostream* stream) { *stream << name_of(kind); }

namespace test {

// Data, problems and how to run them.
using namespace suite;  // NOLINT(google-build-using-namespace)

// `class ConvKernel : public KernelTest {}; LAMINA_OVER_BACKENDS(ConvKernel);`
class KernelTest : public testing::TestWithParam<BackendKind> {};
inline std::string backend_name(const testing::TestParamInfo<BackendKind>& info) {
  return std::string(name_of(info.param));
}

#define LAMINA_OVER_BACKENDS(fixture) \
  INSTANTIATE_TEST_SUITE_P(           \
      , fixture, testing::ValuesIn(::lamina::suite::backends()), ::lamina::test::backend_name)

// A table whose failures are those of the test.
inline TableOpts of_this_test(BackendKind backend) {
  return {.backend = backend, .report = [](const CaseReport& report) {
            for (const std::string& failure : report.failures)
              ADD_FAILURE() << failure_text(report.key, failure);
          }};
}

}  // namespace test
}  // namespace lamina
