// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/passes.h"

#include "engine/core/error.h"

namespace lamina {

namespace {

constexpr std::array<PassInfo, kPassCount> kPasses{{
    {"fuse_sums", "the sum at the end of a residual block joins the batch norm in front of it"},
    {"fuse_activations",
     "an activation joins the convolution, linear layer, norm or sum before it"},
    {"concat_in_place", "what a concat joins is written into its channels, nothing is copied"},
    {"recompute", "where memory is short, cheap tensors are made again in the backward pass"},
    {"share_memory", "tensors that are not needed at the same time share memory"},
}};

}  // namespace

const PassInfo& info_of(Pass pass) { return kPasses[static_cast<std::size_t>(pass)]; }

PassSet PassSet::unfused() {
  PassSet set;
  for (const Pass pass : {Pass::fuse_sums, Pass::fuse_activations, Pass::concat_in_place})
    set.turn_off(pass);
  return set;
}

PassSet PassSet::without(std::span<const std::string> names) {
  PassSet set;
  for (const std::string& name : names) set.turn_off(name);
  return set;
}

void PassSet::turn_off(std::string_view name) {
  std::string known;
  for (std::size_t i = 0; i < kPassCount; ++i) {
    if (kPasses[i].name == name) return turn_off(static_cast<Pass>(i));
    known += fmt::format("{}{}", i > 0 ? ", " : "", kPasses[i].name);
  }
  LAMINA_CHECK(false, "there is no pass '{}'; the passes are {}.", name, known);
}

}  // namespace lamina
