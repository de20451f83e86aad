// Runs problems on one backend and judges what comes out.
//
// Every case of a table is run on the backend under test, in each dtype it computes in, and held
// against `ref` in f64:
//   - outputs start as NaN, the workspace as garbage, and canaries stand around every buffer;
//   - each output must lie within its budget, or equal the truth where the budget is none;
//   - a truth that is nearly constant is MISTRUSTED: it would pass whatever the kernel did;
//   - a second run over other garbage must repeat bit for bit, on the CPU on more threads;
//   - a third starts every tensor one element off its alignment, on one thread, and must on the CPU
//     equal the first bit for bit too;
//   - a fourth, where the contract allows it, runs in place and must equal the first bit for bit.
// In bf16 and f16 a case is left out, and counted, when its tensors are large (the indices are
// those of f32, and the roundings show in small ones) or when it says that it shows nothing there.
// A case that throws has failed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "kernels/suite/execute.h"

namespace lamina::suite {

// The backends that can run here: ref (its f32 against its f64), cpu, and cuda with a device.
std::vector<BackendKind> backends();

// What a backend computes in, f32 first: cpu in bf16 too, cuda in that and f16.
std::vector<DType> dtypes_of(BackendKind backend);

// What names a case: all four are needed to run it alone.
struct CaseKey {
  std::string name;  // op/what/regime
  std::string pass;
  DType dtype = DType::f32;
  BackendKind backend = BackendKind::ref;

  std::string op() const { return name.substr(0, name.find('/')); }
};

// What came of one case.
struct CaseReport {
  CaseKey key;
  std::string table;     // op.Name
  std::string left_out;  // the reason; empty: it ran
  std::vector<std::string> failures;
  int outputs = 0;
  double share = 0;          // of its budget, the largest error
  std::string worst_output;  // which had it; empty: nothing differs from the truth
  double seconds = 0;
};

struct TableOpts {
  BackendKind backend = BackendKind::cpu;
  std::string table = {};                                              // op.Name, for reports
  std::function<bool(const CaseKey&)> wants = {};                      // empty: every case
  std::function<void(const CaseReport&)> report = {};                  // called after each case
  std::function<void(const CaseReport&, const Problem&)> failed = {};  // with the problem at hand
  bool list_only = false;  // report what there is and run nothing
  // Called in place of a run; for measuring.
  std::function<void(const CaseKey&, const Problem&)> instead = {};
};

// Holds analytic gradients against central differences in f64 on `ref`. The problem computes the
// output from the inputs and the gradients from `seed`, the gradient of a scalar with respect to
// the output (empty when the output is that scalar). Elements where the two one-sided slopes
// disagree lie on a kink and are skipped; at most a fifth may be.
struct GradientPair {
  std::string input, gradient;
};

class Table {
 public:
  explicit Table(TableOpts opts);
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  BackendKind backend() const { return opts_.backend; }
  int cases() const { return cases_; }
  // Whether results are held against a truth, which large problems need not have otherwise.
  bool judges() const { return !opts_.list_only && !opts_.instead; }

  // Whether the case is wanted in any dtype; lets a table skip making large data. An empty pass
  // stands for all.
  bool wants(const std::string& name, const std::string& pass = {}) const;

  // The problem in its own dtype, pass by pass.
  void check(const Problem& problem);
  // make(args..., dtype) in every dtype.
  template <class Make, class... Args>
  void check(const Make& make, const Args&... args) {
    check_all([&](DType dtype) -> Problem { return make(args..., dtype); });
  }

  void check_gradients(const Problem& problem,
                       const std::string& output,
                       const std::string& seed,
                       const std::vector<GradientPair>& pairs);

  // A case of its own kind: body gives the failures. With a device of the table's backend.
  void verify(const std::string& name,
              const std::string& pass,
              const std::function<std::vector<std::string>(Context&)>& body);

 private:
  void check_all(const std::function<Problem(DType)>& make);
  void check_pass(const Problem& problem);
  void run(const Problem& problem, CaseReport& report);
  void judge(const Problem& problem, const Outcome& outcome, const Outcome& truth, CaseReport& to);
  void close(CaseReport& report, const Problem* problem, double started);
  bool wanted(const CaseKey& key) const { return !opts_.wants || opts_.wants(key); }
  void use_threads(int threads);

  TableOpts opts_;
  std::optional<Context> ctx_;  // made for the first case that runs
  int cases_ = 0;
};

}  // namespace lamina::suite
