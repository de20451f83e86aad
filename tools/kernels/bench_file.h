// What `lamina kernels bench` measured, and the JSON file that keeps it.
//
//   {"format": "lamina-kernels-bench", "version": 1, "date": "...",
//    "machine": {"device": "...", "backend": "cuda", "threads": "8", "driver": "...", ...},
//    "ceilings": {"copy_gbps": 900.0, "matmul_tflops": {"f32": 20.0}},
//    "yardstick_ms": [one a round],
//    "rows": [{"case", "op", "pass", "dtype", "implementation", "bytes", "flops",
//              "rounds": [[ms, ...], ...], "peer": {"name", "rounds"}}]}
//
// "peer", "ceilings" and "yardstick_ms" may be left out. Every row has as many rounds as there are
// yardsticks. Readers pass over fields they do not know.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "tools/kernels/verdict.h"

namespace lamina::kernel_bench {

// Facts of the machine and of the libraries, in the order in which they are shown. "device",
// "backend" and "threads" say which machine it is; the others are what may change on it.
using Machine = std::vector<std::pair<std::string, std::string>>;
int identity_rank(const std::string& fact);  // 0, 1, 2; 3 for all others

// What one kernel is and does, before anything is timed.
struct CaseInfo {
  std::string name, op, pass, dtype, implementation;
  double bytes = 0, flops = 0;  // read and written at least once; 0: not stated

  std::string key() const;  // name, pass and dtype: the same in both files of a comparison
};

struct Peer {
  std::string name;
  std::vector<std::vector<double>> rounds;
};

struct BenchRow {
  CaseInfo info;
  std::vector<std::vector<double>> rounds;
  std::optional<Peer> peer;
};

struct Ceilings {
  double copy_gbps = 0;                         // 0: not measured
  std::map<std::string, double> matmul_tflops;  // by dtype
};

struct BenchFile {
  std::string date;
  Machine machine;
  Ceilings ceilings;
  std::vector<double> yardstick_ms;
  std::vector<BenchRow> rows;
};

// What a row's times mean. NaN where the row does not say enough.
struct RowFigures {
  double median_ms, min_ms, gbps, tflops;  // rates at the median
  double share;  // of the tighter ceiling: the time that the ceilings allow over the median
  double ratio;  // our median over the peer's; below 1 we are faster
};
RowFigures figures_of(const BenchRow& row, const Ceilings& ceilings);

std::vector<Round> rounds_of(const BenchRow& row, const BenchFile& file);

// A damaged or foreign file is a failed request that names the file and the field.
BenchFile load_bench_file(const std::filesystem::path& path);
BenchFile parse_bench_file(std::string_view text, const std::string& path);
void save_bench_file(const BenchFile& file, const std::filesystem::path& path);
std::string bench_file_text(const BenchFile& file);

// For the protocol of bencher.h, which speaks of the same things. `where` begins the messages.
Machine machine_from_json(const nlohmann::json& json, const std::string& where);
CaseInfo case_from_json(const nlohmann::json& json, const std::string& where);
std::vector<double> times_from_json(const nlohmann::json& json, const std::string& where);

// "" or why times of the two machines cannot be compared.
std::string different_machine(const Machine& base, const Machine& now);
// "driver 550.54 -> 555.42", one for each other fact that differs.
std::vector<std::string> changed_facts(const Machine& base, const Machine& now);

}  // namespace lamina::kernel_bench
