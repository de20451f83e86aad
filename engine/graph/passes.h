// The passes of the graph compiler: what a Program does to a net before it is run, and which of
// them are on. With or without them a net computes the same function.
//
// A new pass: a value of Pass, its line in passes.cpp, and a file of its own that does it and says
// what it did.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lamina {

// In the order they run.
enum class Pass {
  fuse_sums,         // fuse.h
  fuse_activations,  // fuse.h
  concat_in_place,   // slices.h
  recompute,         // recompute.h
  share_memory,      // memory_plan.h
};
inline constexpr std::size_t kPassCount = 5;

struct PassInfo {
  std::string_view name, what;
};
const PassInfo& info_of(Pass pass);

// What a pass did in one place: its pass, and the nodes as "bn2 takes in add".
struct PassNote {
  Pass pass;
  std::string text;
};

// Which passes run: all of them, unless told otherwise.
class PassSet {
 public:
  PassSet() { on_.fill(true); }
  // Every layer by itself; memory is shared nonetheless.
  static PassSet unfused();
  // All but those named.
  static PassSet without(std::span<const std::string> names);

  bool has(Pass pass) const { return on_[static_cast<std::size_t>(pass)]; }
  // An unknown name is an error that lists those there are.
  void turn_off(std::string_view name);
  void turn_off(Pass pass) { on_[static_cast<std::size_t>(pass)] = false; }

 private:
  std::array<bool, kPassCount> on_{};
};

}  // namespace lamina
