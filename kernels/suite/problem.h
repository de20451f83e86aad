// A problem: the tensors of one call (or of a few calls that belong together), their data and what
// may be expected of the results. It knows no backend: the same problem runs in f64 on `ref` for
// the truth and in its dtype on the backend under test. Its data are numbers of that dtype, so both
// start from the same.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/core/step_state.h"
#include "kernels/context.h"
#include "kernels/suite/data.h"

namespace lamina::suite {

// How far a result may be from the truth: `roundings` times the unit roundoff of the dtype times a
// magnitude, which is the size of the terms that the element was summed from (never less than the
// result itself). 0 roundings demand equality.
// A result of bf16 or f16 is computed in f32 and rounded once, when it is stored. So the roundings
// are those of f32, and allowed is every number that some value within the budget rounds to; with
// 0 roundings that is the rounded truth alone.
struct Budget {
  double roundings = 0;
  Values magnitude = {};  // one value per element, one for all, or none
  // In bf16 and f16: intermediate results that may be stored in that dtype on the way, each of the
  // magnitude's size and entering with a factor of at most 1.
  int stores = 0;
};

inline Budget exactly() { return {}; }

// For a sum of `length` products: errors of the additions grow like the root of their number.
inline Budget sum_budget(std::int64_t length, Values magnitude) {
  return {4 + std::sqrt(static_cast<double>(length)), std::move(magnitude)};
}

enum class Role { in, inout, out };

struct Slot {
  std::string name;
  Role role = Role::in;
  std::optional<DType> dtype = {};  // none: the floating type of the run
  bool wide = false;                // of statistics_dtype(the floating type of the run)
  Shape shape = {};
  Values values = {};    // in, inout
  Budget budget = {};    // inout, out
  bool sparse = false;   // zeros almost everywhere are what it is meant to hold
  bool aligned = false;  // never moved off its alignment: not a tensor of the contract
  // Channels [first, ...) of a map of `pitch` channels, the others of which are watched; 0: dense.
  std::int64_t first = 0, pitch = 0;
};

DType stored_dtype(const Slot& slot, DType real);

Slot in(std::string name, const Shape& shape, Values values);
Slot in(std::string name, DType dtype, const Shape& shape, Values values);
Slot inout(std::string name, const Shape& shape, Values values, Budget budget);
Slot out(std::string name, const Shape& shape, Budget budget);
Slot out(std::string name, DType dtype, const Shape& shape);
Slot wide(Slot slot);
Slot state_slot(const StepState& state, Role role = Role::in);

// What the body of a problem sees of a call. Tensors are asked for by name; a name that the problem
// does not have gives the empty tensor, which is how optional arguments are left out.
class Call {
 public:
  virtual ~Call() = default;
  virtual Context& ctx() = 0;
  virtual DType dtype() const = 0;
  virtual Tensor operator[](const std::string& name) const = 0;
  virtual StepState* state() const = 0;
  // Scratch memory filled with garbage and watched at both ends.
  virtual void* workspace(std::size_t bytes) = 0;

  // What make() gives, a plan: made once, however often the body is run.
  template <class Make>
  auto& keep(const Make& make) {
    using T = typename std::invoke_result_t<Make>::element_type;
    std::shared_ptr<void>& place = kept();
    if (!place) place = std::shared_ptr<T>(make());
    return *static_cast<T*>(place.get());
  }

 protected:
  virtual std::shared_ptr<void>& kept() = 0;
};

// One direction of an op: what it reads and what it writes of a problem's tensors.
struct Pass {
  std::string name;
  std::vector<std::string> reads, writes;
};

struct Outcome {
  std::map<std::string, Values> values;                 // inout and out
  std::map<std::string, std::vector<std::byte>> bytes;  // the same, as they lie in memory
  std::vector<std::string> faults;                      // written where nothing may be written
};

// What is compared in place of the outputs: less, and computed from them.
struct Reduction {
  std::vector<Slot> slots;               // with names, shapes and budgets
  std::function<void(Outcome&)> reduce;  // replaces the values of an outcome
  std::function<Outcome()> truth;        // of the reduced values
};

struct Problem {
  std::string name;               // op/what/regime
  std::string pass = {};          // where there is one alone
  DType dtype = DType::f32;       // the floating type of the run under test
  std::vector<Pass> passes = {};  // that body makes; they are judged one by one
  std::vector<Slot> slots = {};
  std::function<void(Call&)> body = {};
  // (output, input) pairs that may share memory: run a second time in place.
  std::vector<std::pair<std::string, std::string>> in_place = {};

  std::string unfit = {};  // why it shows nothing in this dtype
  // The contract wants 16-byte alignment on cuda: no run off it there.
  bool aligned_on_cuda = false;
  // Where the truth of all outputs would take `ref` too long; empty: all are compared.
  std::shared_ptr<const Reduction> reduction = {};
  bool any_size = false;  // judged in 16 bits too, however large
  // For measuring: multiplications and additions of a run; 0: memory is what counts.
  double flops = 0;
  std::function<std::string(Context&)> implementation = {};  // which of several; empty: the only
  // The same work by a library, where we have a kernel of our own.
  std::function<void(Call&)> peer = {};
  std::string peer_name = {};
  std::vector<std::string> peer_passes = {};  // that the peer makes; empty: all

  // Rounds what goes in to the dtypes it goes in with.
  void round_inputs();
  // Throws when the run's dtype cannot hold what goes in.
  void check_inputs() const;
  std::int64_t elements() const;
  const Slot& slot(const std::string& slot_name) const;
  Slot& slot(const std::string& slot_name);
};

// The problem with the tensors of one of its passes; the body leaves out what has no output.
Problem restricted(const Problem& problem, const Pass& pass);

// The problem with these tensors as slices of channels of wider maps; not in place then, and
// without a peer.
Problem sliced(Problem problem, const std::vector<std::string>& names);

// The problem of a layer of a net under its name; judged however large it is.
Problem as_layer(Problem problem, std::string name);

// The problem with the absolute values of its data. Of a linear op it gives the magnitudes.
Problem absolute(Problem problem);

}  // namespace lamina::suite
