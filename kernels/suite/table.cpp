// SPDX-License-Identifier: Apache-2.0
#include "kernels/suite/table.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "kernels/suite/judge.h"

namespace lamina::suite {
namespace {

constexpr int kThreads = 2;
constexpr std::int64_t kMostIn16Bits = 300'000;  // elements of a case

bool is_16_bit(DType dtype) { return size_of(dtype) == 2; }

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

std::vector<BackendKind> backends() {
  std::vector<BackendKind> found{BackendKind::ref, BackendKind::cpu};
  for (const DeviceReport& report : list_devices()) {
    if (report.backend == BackendKind::cuda && report.usable) found.push_back(report.backend);
  }
  return found;
}

std::vector<DType> dtypes_of(BackendKind backend) {
  if (backend == BackendKind::ref) return {DType::f32};
  if (backend == BackendKind::cpu) return {DType::f32, DType::bf16};
  return {DType::f32, DType::bf16, DType::f16};
}

Table::Table(TableOpts opts) : opts_(std::move(opts)) {}

// A context is the only way to say how many threads: it sets the runtime's number too.
void Table::use_threads(int threads) {
  if (!ctx_ || backend() == BackendKind::cpu)
    ctx_.emplace(make_context({.backend = backend(), .threads = threads}));
}

bool Table::wants(const std::string& name, const std::string& pass) const {
  if (!opts_.wants) return true;
  for (DType dtype : dtypes_of(backend()))
    if (opts_.wants({name, pass, dtype, backend()})) return true;
  return false;
}

void Table::judge(const Problem& problem,
                  const Outcome& outcome,
                  const Outcome& truth,
                  CaseReport& to) {
  for (const std::string& fault : outcome.faults) to.failures.push_back(fault);
  for (const Slot& slot : problem.reduction ? problem.reduction->slots : problem.slots) {
    if (slot.role == Role::in) continue;
    ++to.outputs;
    const Judgement judged =
        judge_output(slot, problem.dtype, outcome.values.at(slot.name), truth.values.at(slot.name));
    to.failures.insert(to.failures.end(), judged.failures.begin(), judged.failures.end());
    if (judged.share > to.share) {
      to.share = judged.share;
      to.worst_output = slot.name;
    }
  }
}

void Table::run(const Problem& problem, CaseReport& report) {
  const auto add = [&](const std::vector<std::string>& failures) {
    report.failures.insert(report.failures.end(), failures.begin(), failures.end());
  };
  problem.check_inputs();
  const Reduction* const reduction = problem.reduction.get();
  const Outcome truth = reduction != nullptr ? reduction->truth() : execute_ref(problem);
  use_threads(kThreads);
  const auto execute_here = [&](const CallOpts& opts) {
    Outcome outcome = execute(*ctx_, problem.dtype, problem, opts);
    if (reduction != nullptr && !opts.bytes_only) reduction->reduce(outcome);
    return outcome;
  };
  const Outcome first = execute_here({});
  judge(problem, first, truth, report);
  const int outputs = report.outputs;
  use_threads(kThreads + 1);
  const char* const again =
      backend() == BackendKind::cuda ? "a second run" : "a second run, on other threads,";
  add(compare_bits(first, execute_here({.garbage = 0x7F, .bytes_only = true}), again));
  use_threads(1);
  const bool shifted = !(problem.aligned_on_cuda && backend() == BackendKind::cuda);
  const Outcome aside = execute_here({.shifted = shifted});
  judge(problem, aside, truth, report);
  if (backend() == BackendKind::cpu)
    add(compare_bits(first, aside, "a run off the alignment, on one thread,"));
  report.outputs = outputs;
  if (problem.in_place.empty()) return;
  use_threads(kThreads);
  const Outcome in_place = execute_here({.in_place = true, .bytes_only = true});
  for (const std::string& fault : in_place.faults) report.failures.push_back("in place: " + fault);
  add(compare_bits(first, in_place, "running in place"));
}

void Table::close(CaseReport& report, const Problem* problem, double started) {
  report.seconds = now() - started;
  // The run off the alignment often fails in the same words as the first.
  auto& all = report.failures;
  std::vector<std::string> kept;
  for (const std::string& failure : all)
    if (std::find(kept.begin(), kept.end(), failure) == kept.end()) kept.push_back(failure);
  all = std::move(kept);
  if (opts_.report) opts_.report(report);
  if (!report.failures.empty() && opts_.failed && problem != nullptr)
    opts_.failed(report, *problem);
}

void Table::check_pass(const Problem& problem) {
  CaseReport report{.key = {problem.name, problem.pass, problem.dtype, backend()},
                    .table = opts_.table};
  if (!wanted(report.key)) return;
  const double started = now();
  report.left_out = problem.unfit;
  if (report.left_out.empty()) {
    ++cases_;
    if (opts_.instead) return opts_.instead(report.key, problem);
    if (!opts_.list_only) {
      try {
        run(problem, report);
      } catch (const std::exception& error) {
        report.failures.push_back(fmt::format("it threw: {}", error.what()));
      }
    }
  }
  close(report, &problem, started);
}

void Table::check(const Problem& problem) {
  if (problem.passes.empty()) return check_pass(problem);
  for (const Pass& pass : problem.passes) {
    if (wanted({problem.name, pass.name, problem.dtype, backend()}))
      check_pass(restricted(problem, pass));
  }
}

void Table::check_all(const std::function<Problem(DType)>& make) {
  for (DType dtype : dtypes_of(backend())) {
    Problem problem = make(dtype);
    if (is_16_bit(dtype) && !problem.any_size && problem.elements() > kMostIn16Bits)
      problem.unfit = "large for 16 bits";
    check(problem);
  }
}

void Table::verify(const std::string& name,
                   const std::string& pass,
                   const std::function<std::vector<std::string>(Context&)>& body) {
  CaseReport report{.key = {name, pass, DType::f32, backend()}, .table = opts_.table};
  if (!wanted(report.key) || opts_.instead) return;
  const double started = now();
  ++cases_;
  if (!opts_.list_only) {
    try {
      use_threads(kThreads);
      report.failures = body(*ctx_);
    } catch (const std::exception& error) {
      report.failures.push_back(fmt::format("it threw: {}", error.what()));
    }
  }
  close(report, nullptr, started);
}

}  // namespace lamina::suite
