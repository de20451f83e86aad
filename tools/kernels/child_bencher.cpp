// bencher.h's protocol, the asking side.
// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/files/damage.h"
#include "tools/kernels/bencher.h"
#include "tools/kernels/child_process.h"

namespace lamina::kernel_bench {
namespace {

using Json = nlohmann::json;

// On a machine with other work the threads of a team may come to share one processor and stay there
// for seconds, in one of two equal programs only: it was seen to take 2.4 times as long.
const std::vector<std::string> kOwnProcessors{"OMP_PROC_BIND=close", "OMP_PLACES=threads"};

// A shell looks for a bare word in PATH only; here a file beside us comes first.
std::string found_program(const std::string& program) {
  std::error_code error;
  const bool bare = program.find('/') == std::string::npos;
  return bare && std::filesystem::is_regular_file(program, error) ? "./" + program : program;
}

class ChildBencher final : public Bencher {
 public:
  explicit ChildBencher(ChildOpts opts) : opts_(std::move(opts)) { restart(); }

  const Machine& machine() override { return machine_; }
  const std::vector<CaseInfo>& cases() override { return cases_; }

  void restart() override {
    std::vector<std::string> command{found_program(opts_.program), "kernels", "bench", "--serve"};
    command.insert(command.end(), opts_.flags.begin(), opts_.flags.end());
    child_.reset();  // the old one gives its memory back first
    child_ = std::make_unique<ChildProcess>(command, kOwnProcessors);
    const Json answer = ask({{"cases", true}}, "its cases");
    machine_ = machine_from_json(answer.value("machine", Json()), who());
    if (!answer.contains("cases") || !answer["cases"].is_array()) babbles(answer.dump());
    cases_.clear();
    for (const Json& row : answer["cases"])
      cases_.push_back(case_from_json(row, who() + ": a case"));
  }

  Round measure(const CaseInfo& info, std::int64_t samples) override {
    const std::string what = "'" + printable(info.key()) + "'";
    const Json answer = ask(
        {{"measure", info.name}, {"pass", info.pass}, {"dtype", info.dtype}, {"samples", samples}},
        what);
    Round round{times_from_json(answer.value("ms", Json()), who() + ": its answer to " + what)};
    const auto yardstick = answer.find("yardstick_ms");
    if (yardstick != answer.end() && yardstick->is_number())
      round.yardstick_ms = yardstick->get<double>();
    return round;
  }

 private:
  std::string who() const { return "'" + opts_.program + "'"; }

  std::string last_words() const {
    const std::string words = child_->last_words();
    return words.empty() ? " It wrote nothing to stderr." : " Its last words:\n" + words;
  }

  [[noreturn]] void babbles(const std::string& line) const {
    fail("{} was asked for JSON and wrote '{}'; name a build whose `kernels bench` has --serve.{}",
         who(),
         printable(line),
         last_words());
  }

  Json ask(const Json& request, const std::string& about) {
    const bool sent = child_->write_line(request.dump());
    std::string line;
    using Outcome = ChildProcess::Outcome;
    const Outcome outcome =
        child_->read_line(line, std::chrono::duration<double>(opts_.patience_seconds), opts_.stop);
    if (outcome == Outcome::stopped) fail("Interrupted.");
    if (outcome == Outcome::silent)
      fail("{} said nothing about {} for {:g} s; is it stuck?{}",
           who(),
           about,
           opts_.patience_seconds,
           last_words());
    if (outcome == Outcome::endless) babbles(line);
    if (outcome == Outcome::ended || (!sent && line.empty())) {
      const std::string how = child_->how_it_ended();
      fail(
          "{} ended ({}) when asked for {}; it must be a build whose `kernels bench` has "
          "--serve.{}",
          who(),
          how,
          about,
          last_words());
    }
    Json answer = Json::parse(line, nullptr, false);
    if (answer.is_discarded() || !answer.is_object()) babbles(line);
    if (answer.contains("error")) {
      const Json& error = answer["error"];
      fail("{} could not measure {}: {}",
           who(),
           about,
           error.is_string() ? error.get<std::string>() : error.dump());
    }
    return answer;
  }

  ChildOpts opts_;
  std::unique_ptr<ChildProcess> child_;
  Machine machine_;
  std::vector<CaseInfo> cases_;
};

}  // namespace

std::unique_ptr<Bencher> start_child(const ChildOpts& opts) {
  return std::make_unique<ChildBencher>(opts);
}

}  // namespace lamina::kernel_bench
