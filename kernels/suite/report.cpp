// SPDX-License-Identifier: Apache-2.0
#include "kernels/suite/report.h"

#include <fmt/format.h>

#include "kernels/suite/judge.h"
#include "kernels/suite/suite.h"

namespace lamina::suite {

std::string to_string(const CaseKey& key) {
  return fmt::format(
      "{} {} in {} on {}", key.name, key.pass, name_of(key.dtype), name_of(key.backend));
}

std::string failure_text(const CaseKey& key, std::string_view failure) {
  return fmt::format("{}: {}", to_string(key), failure);
}

std::string rerun_line(std::string_view program, const CaseKey& key, std::string_view table) {
  const std::size_t dot = table.find('.');
  std::string line = fmt::format("{} kernels test --op {}", program, table.substr(0, dot));
  // op/net/layer@batch: equal layers of other nets have no case where no net is asked for.
  if (table.substr(dot + 1) == kLayersOfNets) {
    const std::size_t net = key.name.find('/') + 1, batch = key.name.find('@') + 1;
    line += fmt::format(" --net {} --batch {}",
                        key.name.substr(net, key.name.find('/', net) - net),
                        key.name.substr(batch, key.name.find('/', batch) - batch));
  }
  return line + fmt::format(" --case '{}' --pass {} --dtype {} --device {} --seed {}",
                            key.name,
                            key.pass,
                            name_of(key.dtype),
                            name_of(key.backend),
                            test_seed());
}

void Tally::add(const CaseReport& report) {
  if (!report.left_out.empty()) {
    ++left_out[report.left_out];
    return;
  }
  ++cases;
  outputs += report.outputs;
  failed += report.failures.empty() ? 0 : 1;
  for (const std::string& failure : report.failures)
    if (failure.starts_with("MISTRUSTED")) ++mistrusted;
  if (report.share > worst_share) {
    worst_share = report.share;
    worst = fmt::format("{} {}", to_string(report.key), report.worst_output);
  }
}

std::string Tally::summary() const {
  std::string text = fmt::format("{} cases, {} outputs", cases, outputs);
  for (const auto& [reason, count] : left_out)
    text += fmt::format("; {} left out: {}", count, reason);
  if (failed > 0) text += fmt::format("; {} FAILED", failed);
  if (mistrusted > 0) text += fmt::format(", {} MISTRUSTED", mistrusted);
  text += "; ";
  text += worst.empty() ? std::string("nothing differs from the truth")
                        : fmt::format("largest error {}: {}", share_text(worst_share), worst);
  return text;
}

}  // namespace lamina::suite
