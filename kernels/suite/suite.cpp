// SPDX-License-Identifier: Apache-2.0
#include "kernels/suite/suite.h"

namespace lamina::suite {

// LAMINA_EVERY_OP is ADD(accumulate) ADD(activation) ...: the ops of CMakeLists.txt.
#define ADD(op) void add_##op(Suite& suite);
LAMINA_EVERY_OP
#undef ADD

Suite::Suite() {
#define ADD(op) \
  op_ = #op;    \
  add_##op(*this);
  LAMINA_EVERY_OP
#undef ADD
}

Suite::LayerCheck Suite::layer_check(const std::string& op) const {
  const auto found = layers_.find(op);
  return found == layers_.end() ? nullptr : found->second.second;
}

std::string Suite::file_of(const std::string& op) const { return layers_.at(op).first; }

void Suite::add(const char* name, std::function<void(Table&)> run) {
  entries_.push_back({op_, name, std::move(run)});
}

void Suite::add_gradients(const char* name, std::function<void(Table&)> run) {
  entries_.push_back({op_, name, std::move(run), true});
}

}  // namespace lamina::suite
