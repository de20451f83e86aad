// The kernel test room: runs problems over the backends and judges what comes out.
//
// Every case of a table is run on the backend under test, in each dtype it computes in, and held
// against `ref` in f64:
//   - outputs start as NaN, the workspace as garbage, and canaries stand around every buffer;
//   - each output must lie within its budget, or equal the truth where the budget is none;
//   - a truth that is nearly constant is MISTRUSTED: it would pass whatever the kernel did;
//   - a second run over other garbage must repeat bit for bit;
//   - a third starts every tensor one element off its alignment, on another number of threads;
//   - a fourth, where the contract allows it, runs in place and must equal the first bit for bit.
// In bf16 and f16 a case is left out, and counted, when its tensors are large (the indices are
// those of f32, and the roundings show in small ones) or when it says that it shows nothing there.
// A case that throws has failed. A failure ends in one line that, pasted into a shell, runs that
// case alone. Environment: LAMINA_CASE=NAME that case only, LAMINA_DTYPE=NAME that dtype only,
// LAMINA_TEST_SEED=N other data and other random shapes, LAMINA_VERBOSE=1 one line a case.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/kernels/problem.h"

namespace lamina {

// How GoogleTest names a parameter in its messages.
inline void PrintTo(BackendKind kind, std::ostream* stream) { *stream << name_of(kind); }

namespace test {

// The backends that can run here: ref (its f32 against its f64), cpu, and cuda with a device.
std::vector<BackendKind> backends();

// What a backend computes in, f32 first: cuda in bf16 and f16 too.
std::vector<DType> dtypes_of(BackendKind backend);

// A suite with one instance a backend: `class ConvKernel : public KernelTest {}`.
class KernelTest : public testing::TestWithParam<BackendKind> {};
std::string backend_name(const testing::TestParamInfo<BackendKind>& info);

#define LAMINA_OVER_BACKENDS(suite) \
  INSTANTIATE_TEST_SUITE_P(         \
      , suite, testing::ValuesIn(::lamina::test::backends()), ::lamina::test::backend_name)

// The cases of one test. Prints a summary at the end; fails when it was left empty.
class Table {
 public:
  explicit Table(BackendKind backend);
  ~Table();
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  // True when the case is wanted; lets a table skip making data that nobody will use.
  bool wants(const std::string& case_name);
  // The problem in its own dtype.
  void check(const Problem& problem);
  // make(args..., dtype) in every dtype.
  template <class Make, class... Args>
  void check(const Make& make, const Args&... args) {
    check_all([&](DType dtype) -> Problem { return make(args..., dtype); });
  }

 private:
  void check_all(const std::function<Problem(DType)>& make);
  void use_threads(int threads);
  void judge(const Problem& problem, const Slot& slot, const Values& got, const Values& want);
  void compare_bits(const Problem& problem,
                    const Outcome& first,
                    const Outcome& again,
                    const char* what);
  void report(const Problem& problem, const std::string& what);

  BackendKind backend_;
  Context ctx_;
  int cases_ = 0, skipped_ = 0, outputs_ = 0, failures_ = 0;
  std::map<std::string, int> left_out_;      // by the reason
  double case_share_ = 0, worst_share_ = 0;  // of its budget, the largest error of the case, of all
  std::string worst_;
};

// Holds analytic gradients against central differences in f64 on `ref`. The problem computes the
// output from the inputs and the gradients from `seed`, the gradient of a scalar with respect to
// the output (empty when the output is that scalar). Elements where the two one-sided slopes
// disagree lie on a kink and are skipped; at most a fifth may be.
struct GradientPair {
  std::string input, gradient;
};
void check_gradients(const Problem& problem,
                     const std::string& output,
                     const std::string& seed,
                     const std::vector<GradientPair>& pairs);

}  // namespace test
}  // namespace lamina
