// SPDX-License-Identifier: Apache-2.0
#include "kernels/suite/problem.h"

#include <algorithm>
#include <cmath>

namespace lamina::suite {

DType stored_dtype(const Slot& slot, DType real) {
  return slot.dtype.value_or(slot.wide ? statistics_dtype(real) : real);
}

Slot in(std::string name, const Shape& shape, Values values) {
  return {.name = std::move(name), .shape = shape, .values = std::move(values)};
}

Slot in(std::string name, DType dtype, const Shape& shape, Values values) {
  return {.name = std::move(name), .dtype = dtype, .shape = shape, .values = std::move(values)};
}

Slot inout(std::string name, const Shape& shape, Values values, Budget budget) {
  return {.name = std::move(name),
          .role = Role::inout,
          .shape = shape,
          .values = std::move(values),
          .budget = std::move(budget)};
}

Slot out(std::string name, const Shape& shape, Budget budget) {
  return {.name = std::move(name), .role = Role::out, .shape = shape, .budget = std::move(budget)};
}

Slot out(std::string name, DType dtype, const Shape& shape) {
  return {.name = std::move(name), .role = Role::out, .dtype = dtype, .shape = shape};
}

Slot wide(Slot slot) {
  slot.wide = true;
  return slot;
}

Slot state_slot(const StepState& state, Role role) {
  const auto* const bytes = reinterpret_cast<const unsigned char*>(&state);
  return {.name = "state",
          .role = role,
          .dtype = DType::u8,
          .shape = features(1, sizeof state),
          .values = Values(bytes, bytes + sizeof state),
          .sparse = true,
          .aligned = true};
}

void Problem::round_inputs() {
  for (Slot& slot : slots) {
    if (!slot.dtype) slot.values = rounded(stored_dtype(slot, dtype), std::move(slot.values));
  }
}

void Problem::check_inputs() const {
  for (const Slot& slot : slots) {
    const DType stored = stored_dtype(slot, dtype);
    const auto held = [&](double value) {
      return rounded(stored, value) == value || std::isnan(value);
    };
    LAMINA_CHECK(std::all_of(slot.values.begin(), slot.values.end(), held),
                 "test case {}: tensor {} has a value that {} does not hold.",
                 name,
                 slot.name,
                 name_of(stored));
  }
}

std::int64_t Problem::elements() const {
  std::int64_t sum = 0;
  for (const Slot& slot : slots) sum += slot.shape.numel();
  return sum;
}

const Slot& Problem::slot(const std::string& slot_name) const {
  const auto found =
      std::find_if(slots.begin(), slots.end(), [&](const Slot& s) { return s.name == slot_name; });
  LAMINA_CHECK(found != slots.end(), "test case {} has no tensor '{}'.", name, slot_name);
  return *found;
}

Slot& Problem::slot(const std::string& slot_name) {
  return const_cast<Slot&>(std::as_const(*this).slot(slot_name));
}

Problem absolute(Problem problem) {
  for (Slot& slot : problem.slots) {
    if (!slot.dtype) slot.values = absolute(std::move(slot.values));
  }
  return problem;
}

Problem as_layer(Problem problem, std::string name) {
  problem.name = std::move(name);
  problem.any_size = true;
  return problem;
}

Problem restricted(const Problem& problem, const Pass& pass) {
  const auto among = [](const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  Problem part = problem;
  part.pass = pass.name;
  part.passes.clear();
  if (!part.peer_passes.empty() && !among(part.peer_passes, pass.name)) part.peer = {};
  part.slots.clear();
  for (const Slot& slot : problem.slots) {
    const bool written = among(pass.writes, slot.name);
    if (!written && !among(pass.reads, slot.name)) continue;
    part.slots.push_back(slot);
    if (!written) part.slots.back().role = Role::in;
  }
  std::erase_if(part.in_place, [&](const auto& pair) {
    return !among(pass.writes, pair.first) || !among(pass.reads, pair.second);
  });
  return part;
}

Problem sliced(Problem problem, const std::vector<std::string>& names) {
  problem.in_place.clear();
  problem.peer = {};
  problem.name += "/slices";
  for (const std::string& name : names) {
    problem.name += "_" + name;
    Slot& slot = problem.slot(name);
    slot.first = kSliceChannels;
    slot.pitch = slot.shape.c + 3 * kSliceChannels;
  }
  return problem;
}

}  // namespace lamina::suite
