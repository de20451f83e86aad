// bench_file.h's JSON, in and out. Numbers of strangers are checked here once and trusted after.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/core/error.h"
#include "engine/files/damage.h"
#include "tools/kernels/bench_file.h"

namespace lamina::kernel_bench {
namespace {

using Json = nlohmann::json;

constexpr const char* kFormat = "lamina-kernels-bench";
constexpr int kVersion = 1;
constexpr double kLongestMs = 1e9;  // eleven days: a sample above it is no measurement

template <class... Args>
[[noreturn]] void wrong(const std::string& where,
                        fmt::format_string<Args...> format,
                        Args&&... args) {
  fail_request("{} {}; measure it again with `lamina kernels bench`.",
               where,
               fmt::format(format, std::forward<Args>(args)...));
}

const Json& member(const Json& json, const char* name, const std::string& where) {
  if (!json.is_object()) wrong(where, "is not an object of fields");
  const auto found = json.find(name);
  if (found == json.end()) wrong(where, "has no field '{}'", name);
  return *found;
}

std::string text_of(const Json& json, const char* name, const std::string& where) {
  const Json& value = member(json, name, where);
  if (!value.is_string()) wrong(where, "has a field '{}' that is no text", name);
  return value.get<std::string>();
}

std::string optional_text(const Json& json, const char* name, const std::string& where) {
  return json.is_object() && json.contains(name) ? text_of(json, name, where) : "";
}

double number_of(const Json& value, const std::string& name, const std::string& where) {
  if (!value.is_number()) wrong(where, "has a field '{}' that is no number", name);
  const double number = value.get<double>();
  if (!std::isfinite(number) || number < 0)
    wrong(where, "has a field '{}' of {}; it cannot be negative or infinite", name, number);
  return number;
}

double optional_number(const Json& json, const char* name, const std::string& where) {
  return json.is_object() && json.contains(name) ? number_of(json[name], name, where) : 0.0;
}

std::vector<std::vector<double>> rounds_from_json(const Json& json,
                                                  const std::string& where,
                                                  std::size_t expected) {
  if (!json.is_array() || json.empty()) wrong(where, "has a field 'rounds' that lists no rounds");
  if (expected != 0 && json.size() != expected)
    wrong(where, "has {} rounds, and 'yardstick_ms' has {}", json.size(), expected);
  std::vector<std::vector<double>> rounds;
  for (const Json& round : json)
    rounds.push_back(
        times_from_json(round, where + ", round " + std::to_string(rounds.size() + 1)));
  return rounds;
}

BenchRow row_from_json(const Json& json, const std::string& file, std::size_t at, std::size_t n) {
  BenchRow row{.info = case_from_json(json, fmt::format("{}: row {}", file, at + 1))};
  const std::string where = fmt::format("{}: row '{}'", file, printable(row.info.key()));
  row.rounds = rounds_from_json(member(json, "rounds", where), where, n);
  const auto peer = json.find("peer");
  if (peer != json.end() && !peer->is_null()) {
    const std::string of_peer = where + ", 'peer'";
    row.peer = Peer{text_of(*peer, "name", of_peer),
                    rounds_from_json(member(*peer, "rounds", of_peer), of_peer, 0)};
  }
  return row;
}

Ceilings ceilings_from_json(const Json& json, const std::string& file) {
  const std::string where = file + ": 'ceilings'";
  Ceilings ceilings{.copy_gbps = optional_number(json, "copy_gbps", where)};
  if (!json.is_object()) wrong(where, "is not an object of fields");
  const auto peaks = json.find("matmul_tflops");
  if (peaks == json.end()) return ceilings;
  if (!peaks->is_object()) wrong(where, "has a field 'matmul_tflops' that is no object");
  for (const auto& [dtype, peak] : peaks->items())
    ceilings.matmul_tflops[dtype] = number_of(peak, "matmul_tflops", where);
  return ceilings;
}

}  // namespace

std::vector<double> times_from_json(const Json& json, const std::string& where) {
  if (!json.is_array() || json.empty()) wrong(where, "lists no times");
  std::vector<double> times;
  for (const Json& time : json) {
    if (!time.is_number()) wrong(where, "has a time that is no number");
    const double ms = time.get<double>();
    if (!std::isfinite(ms) || ms <= 0 || ms > kLongestMs)
      wrong(where, "has a time of {} ms, which is no duration", ms);
    times.push_back(ms);
  }
  return times;
}

Machine machine_from_json(const Json& json, const std::string& where) {
  if (!json.is_object()) wrong(where, "has no facts of the machine");
  Machine machine;
  for (const auto& [name, value] : json.items()) {  // by name
    if (!value.is_primitive()) wrong(where, "has a field '{}' that is no text", printable(name));
    machine.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
  }
  // What says which machine it is comes first.
  std::stable_sort(machine.begin(), machine.end(), [](const auto& a, const auto& b) {
    return identity_rank(a.first) < identity_rank(b.first);
  });
  return machine;
}

CaseInfo case_from_json(const Json& json, const std::string& where) {
  return {.name = text_of(json, "case", where),
          .op = optional_text(json, "op", where),
          .pass = text_of(json, "pass", where),
          .dtype = text_of(json, "dtype", where),
          .implementation = optional_text(json, "implementation", where),
          .bytes = optional_number(json, "bytes", where),
          .flops = optional_number(json, "flops", where)};
}

BenchFile parse_bench_file(std::string_view text, const std::string& path) {
  const std::string file = "'" + path + "'";
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) wrong(file, "is no JSON, or was cut short");
  const auto format = json.is_object() ? json.find("format") : json.end();
  if (!json.is_object() || format == json.end() || *format != kFormat)
    wrong(file, "is not a bench file: its field 'format' is not '{}'", kFormat);
  const Json& version = member(json, "version", file);
  if (version != kVersion)
    wrong(file, "has version {} of the format; this program reads {}", version.dump(), kVersion);

  BenchFile bench{.date = optional_text(json, "date", file),
                  .machine = machine_from_json(member(json, "machine", file), file)};
  if (json.contains("ceilings")) bench.ceilings = ceilings_from_json(json["ceilings"], file);
  if (json.contains("yardstick_ms"))
    bench.yardstick_ms = times_from_json(json["yardstick_ms"], file + ": 'yardstick_ms'");
  const Json& rows = member(json, "rows", file);
  if (!rows.is_array()) wrong(file, "has a field 'rows' that is no list");
  std::set<std::string> keys;
  for (const Json& row : rows) {
    bench.rows.push_back(row_from_json(row, file, bench.rows.size(), bench.yardstick_ms.size()));
    const std::string key = bench.rows.back().info.key();
    if (!keys.insert(key).second) wrong(file, "has the row '{}' twice", printable(key));
  }
  return bench;
}

std::string bench_file_text(const BenchFile& file) {
  nlohmann::ordered_json json{{"format", kFormat}, {"version", kVersion}, {"date", file.date}};
  json["machine"] = nlohmann::ordered_json::object();
  for (const auto& [name, value] : file.machine) json["machine"][name] = value;
  json["ceilings"] = {{"copy_gbps", file.ceilings.copy_gbps},
                      {"matmul_tflops", file.ceilings.matmul_tflops}};
  if (!file.yardstick_ms.empty()) json["yardstick_ms"] = file.yardstick_ms;
  // One row a line: a file that people read and compare with diff.
  std::string rows;
  for (const BenchRow& row : file.rows) {
    nlohmann::ordered_json out{{"case", row.info.name},
                               {"op", row.info.op},
                               {"pass", row.info.pass},
                               {"dtype", row.info.dtype},
                               {"implementation", row.info.implementation},
                               {"bytes", row.info.bytes},
                               {"flops", row.info.flops},
                               {"rounds", row.rounds}};
    if (row.peer) out["peer"] = {{"name", row.peer->name}, {"rounds", row.peer->rounds}};
    rows +=
        (rows.empty() ? "\n" : ",\n") + out.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  std::string text = json.dump(1, ' ', false, Json::error_handler_t::replace);
  text.resize(text.rfind('\n'));  // the closing brace, which comes back behind the rows
  return text + ",\n \"rows\": [" + rows + "\n]}\n";
}

}  // namespace lamina::kernel_bench
