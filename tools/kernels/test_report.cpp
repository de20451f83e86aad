// SPDX-License-Identifier: Apache-2.0
#include "tools/kernels/test_report.h"

#include <cstring>
#include <map>

#include <fmt/format.h>

#include "engine/files/safetensors.h"
#include "engine/train/html_text.h"
#include "kernels/suite/report.h"

namespace lamina::cli {
namespace {

using suite::CaseReport;

const char* status_of(const CaseReport& report) {
  if (!report.left_out.empty()) return "left out";
  return report.failures.empty() ? "passed" : "failed";
}

std::string message_of(const CaseReport& report) {
  if (!report.left_out.empty()) return report.left_out;
  return fmt::format("{}", fmt::join(report.failures, "; "));
}

// A field in quotes, as RFC 4180 has it.
std::string csv_field(std::string_view text) {
  std::string field = "\"";
  for (char letter : text) {
    if (letter == '"') field += '"';
    field += letter;
  }
  return field + '"';
}

HostTensor f64_tensor(const std::string& name, const Shape& shape, const suite::Values& values) {
  HostTensor tensor = make_host_tensor(name, DType::f64, {shape.n, shape.h, shape.w, shape.c});
  std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
  return tensor;
}

}  // namespace

std::string csv_of(const std::vector<CaseReport>& reports) {
  std::string csv =
      "table,case,pass,dtype,device,status,percent_of_budget,output,seconds,message\n";
  for (const CaseReport& r : reports)
    csv += fmt::format("{},{},{},{},{},{},{:.2f},{},{:.4f},{}\n",
                       r.table,
                       csv_field(r.key.name),
                       r.key.pass,
                       name_of(r.key.dtype),
                       name_of(r.key.backend),
                       status_of(r),
                       100 * r.share,
                       r.worst_output,
                       r.seconds,
                       csv_field(message_of(r)));
  return csv;
}

std::string junit_of(const std::vector<CaseReport>& reports) {
  std::map<std::string, std::vector<const CaseReport*>> tables;
  for (const CaseReport& r : reports) tables[r.table].push_back(&r);
  std::string xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  for (const auto& [table, cases] : tables) {
    int failed = 0, left_out = 0;
    double seconds = 0;
    std::string body;
    for (const CaseReport* r : cases) {
      failed += r->failures.empty() ? 0 : 1;
      left_out += r->left_out.empty() ? 0 : 1;
      seconds += r->seconds;
      body += fmt::format("    <testcase classname=\"{}.{}\" name=\"{} {} {}\" time=\"{:.4f}\"",
                          escape_html(table),
                          name_of(r->key.backend),
                          escape_html(r->key.name),
                          r->key.pass,
                          name_of(r->key.dtype),
                          r->seconds);
      if (!r->left_out.empty())
        body += fmt::format("><skipped message=\"{}\"/></testcase>\n", escape_html(r->left_out));
      else if (!r->failures.empty())
        body += fmt::format("><failure message=\"{}\">{}</failure></testcase>\n",
                            escape_html(r->failures.front()),
                            escape_html(message_of(*r)));
      else
        body += "/>\n";
    }
    xml += fmt::format(
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" "
        "time=\"{:.4f}\">\n{}  </testsuite>\n",
        escape_html(table),
        cases.size(),
        failed,
        left_out,
        seconds,
        body);
  }
  return xml + "</testsuites>\n";
}

std::filesystem::path dump_tensors(const std::filesystem::path& folder,
                                   const suite::CaseKey& key,
                                   const suite::Problem& problem) {
  std::string name =
      fmt::format("{}.{}.{}.{}", key.name, key.pass, name_of(key.dtype), name_of(key.backend));
  for (char& letter : name)
    if (letter == '/' || letter == '@') letter = '_';
  TensorFile file;
  file.metadata = {{"case", key.name},
                   {"pass", key.pass},
                   {"dtype", std::string(name_of(key.dtype))},
                   {"device", std::string(name_of(key.backend))},
                   {"seed", std::to_string(suite::test_seed())},
                   {"layout", "n h w c"}};
  Context ctx = make_context({.backend = key.backend, .threads = 2});
  const suite::Outcome got = suite::execute(ctx, key.dtype, problem);
  const suite::Outcome truth = suite::execute_ref(problem);
  for (const suite::Slot& slot : problem.slots) {
    if (slot.role != suite::Role::out)
      file.tensors.push_back(f64_tensor(slot.name, slot.shape, slot.values));
    if (slot.role == suite::Role::in) continue;
    HostTensor own = make_host_tensor(slot.name + ".got",
                                      suite::stored_dtype(slot, key.dtype),
                                      {slot.shape.n, slot.shape.h, slot.shape.w, slot.shape.c});
    own.data = got.bytes.at(slot.name);
    file.tensors.push_back(std::move(own));
    file.tensors.push_back(
        f64_tensor(slot.name + ".truth", slot.shape, truth.values.at(slot.name)));
  }
  std::filesystem::create_directories(folder);
  std::filesystem::path path = folder / (name + ".safetensors");
  write_safetensors(path, file);
  return path;
}

}  // namespace lamina::cli
