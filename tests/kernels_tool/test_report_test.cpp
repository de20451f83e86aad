// What `lamina kernels test` leaves behind: CSV, JUnit and the tensors of a failed case.
// SPDX-License-Identifier: Apache-2.0
#include "tools/kernels/test_report.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "engine/files/safetensors.h"
#include "kernels/suite/report.h"

namespace lamina::cli {
namespace {

using suite::CaseReport;

std::vector<CaseReport> reports() {
  const suite::CaseKey key{"pool/odd/exact", "forward", DType::f32, BackendKind::cpu};
  CaseReport passed{.key = key, .table = "pool.Max", .outputs = 1, .share = 0.43};
  passed.worst_output = "y";
  CaseReport failed = passed;
  failed.key.pass = "backward";
  failed.failures = {"1 of 3 is \"<nan>\" & off", "again, so"};
  CaseReport left = passed;
  left.table = "pool.Slices";
  left.left_out = "large for 16 bits";
  return {passed, failed, left};
}

TEST(KernelTestReport, CsvHasALineACase) {
  EXPECT_EQ(csv_of(reports()),
            "table,case,pass,dtype,device,status,percent_of_budget,output,seconds,message\n"
            "pool.Max,\"pool/odd/exact\",forward,f32,cpu,passed,43.00,y,0.0000,\"\"\n"
            "pool.Max,\"pool/odd/exact\",backward,f32,cpu,failed,43.00,y,0.0000,\"1 of 3 is "
            "\"\"<nan>\"\" & off; again, so\"\n"
            "pool.Slices,\"pool/odd/exact\",forward,f32,cpu,left out,43.00,y,0.0000,\"large for 16 "
            "bits\"\n");
}

TEST(KernelTestReport, JunitCountsAndEscapes) {
  const std::string xml = junit_of(reports());
  for (const char* part :
       {"<testsuite name=\"pool.Max\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\"",
        "<testsuite name=\"pool.Slices\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"1\"",
        "classname=\"pool.Max.cpu\" name=\"pool/odd/exact backward f32\"",
        "<failure message=\"1 of 3 is &quot;&lt;nan&gt;&quot; &amp; off\">",
        "<skipped message=\"large for 16 bits\"/>"})
    EXPECT_NE(xml.find(part), std::string::npos) << part << " is not in\n" << xml;
}

TEST(KernelTestReport, TheLineThatRunsACaseAgainNamesAllOfIt) {
  EXPECT_EQ(suite::rerun_line("lamina", reports()[1].key, "pool.Max"),
            "lamina kernels test --op pool --case 'pool/odd/exact' --pass backward --dtype f32 "
            "--device cpu --seed " +
                std::to_string(suite::test_seed()));
  suite::CaseKey layer = reports()[0].key;
  layer.name = "conv2d/vgg11_bn/features.11@3/real";
  const std::string line = suite::rerun_line("lamina", layer, "conv2d.LayersOfNets");
  EXPECT_NE(line.find("--op conv2d --net vgg11_bn --batch 3 --case 'conv2d/vgg11_bn/features.11@3/"
                      "real' --pass forward"),
            std::string::npos)
      << line;
}

TEST(KernelTestReport, TensorsOfACaseAreInputsResultsAndTruth) {
  const Shape shape{1, 2, 1, 3};
  suite::Problem problem{.name = "toy/one", .pass = "forward"};
  problem.slots = {suite::in("x", shape, {1, 2, 3, 4, 5, 6}), suite::out("y", shape, {})};
  problem.body = [](suite::Call& call) {
    for (int i = 0; i < 6; ++i) {  // wrong by one in f32
      if (call.dtype() == DType::f32)
        call["y"].as<float>()[i] = call["x"].as<float>()[i] + 1;
      else
        call["y"].as<double>()[i] = call["x"].as<double>()[i];
    }
  };
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / "lamina_dump_tensors";
  const auto path =
      dump_tensors(folder, {"toy/one", "forward", DType::f32, BackendKind::ref}, problem);
  const TensorFile file = read_safetensors(path);
  std::filesystem::remove_all(folder);
  ASSERT_NE(file.find("x"), nullptr);
  ASSERT_NE(file.find("y.got"), nullptr);
  ASSERT_NE(file.find("y.truth"), nullptr);
  EXPECT_EQ(file.find("y.got")->shape, (std::vector<std::int64_t>{1, 2, 1, 3}));
  EXPECT_EQ(file.find("y.got")->as<float>()[5], 7.0f);
  EXPECT_EQ(file.find("y.truth")->as<double>()[5], 6.0);
  EXPECT_EQ(file.metadata.at("case"), "toy/one");
}

}  // namespace
}  // namespace lamina::cli
