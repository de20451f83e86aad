// Every table of the kernel suite on every backend, as GoogleTest tests: conv2d.RaggedShapes/cpu.
// `lamina kernels test` runs the same tables.
// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <string_view>

#include <fmt/format.h>

#include "tests/kernels/backends.h"

namespace lamina::test {
namespace {

// The objects of this file are linked into two programs.
const char* program() {
  const std::string_view name = program_invocation_short_name;
  return name == "simt_tests" ? "lamina_simt" : "lamina";
}

class TableTest : public testing::Test {
 public:
  TableTest(Suite::Entry entry, BackendKind backend)
      : entry_(std::move(entry)), backend_(backend) {}
  void TestBody() override {
    Tally tally;
    Table table({.backend = backend_, .report = [&](const CaseReport& report) {
                   tally.add(report);
                   for (const std::string& failure : report.failures)
                     ADD_FAILURE()
                         << failure_text(report.key, failure) << "\n  again: "
                         << rerun_line(program(), report.key, entry_.op + "." + entry_.name);
                 }});
    entry_.run(table);
    EXPECT_GT(table.cases(), 0) << "the table has no case.";
    fmt::print("  {}\n", tally.summary());
  }

 private:
  Suite::Entry entry_;
  BackendKind backend_;
};

// Before main(), as TEST() does.
const bool registered = [] {
  const Suite suite;
  for (const Suite::Entry& entry : suite.entries()) {
    for (BackendKind backend : backends()) {
      if (entry.gradients && backend != BackendKind::ref) continue;
      testing::RegisterTest(
          entry.op.c_str(),
          fmt::format("{}/{}", entry.name, name_of(backend)).c_str(),
          nullptr,
          nullptr,
          __FILE__,
          __LINE__,
          [entry, backend]() -> TableTest* { return new TableTest(entry, backend); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace lamina::test
