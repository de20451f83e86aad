// Every net against tests/fixtures/nets.json, which was read off the PyTorch definitions: the
// state_dict's names, shapes and order, every leaf layer, and torchinfo's totals.
// SPDX-License-Identifier: Apache-2.0
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/graph/model.h"
#include "engine/graph/summary.h"
#include "kernels/context.h"
#include "nets/registry.h"

namespace lamina {
namespace {

using nlohmann::ordered_json;

ordered_json load_oracle() {
  std::ifstream file(LAMINA_FIXTURES "/nets.json");
  return ordered_json::parse(file);
}

// As PyTorch gives it, without the batch: [C, H, W] or [F].
ordered_json chw(const Shape& shape) {
  if (shape.flat) return {shape.per_sample()};
  return {shape.c, shape.h, shape.w};
}

class Oracle : public testing::TestWithParam<std::string> {
 protected:
  Oracle() : expected_(load_oracle().at(GetParam())), graph_(build_net(GetParam())) {}

  ordered_json expected_;
  Graph graph_;
};

TEST_P(Oracle, StateDict) {
  Context ctx = make_context({.backend = BackendKind::ref, .threads = 1});
  const Model model(ctx, graph_);
  ordered_json ours = ordered_json::array();
  for (const Model::Entry& entry : model.entries()) ours.push_back({entry.name, entry.spec.shape});
  EXPECT_EQ(ours, expected_.at("state_dict"));
  EXPECT_EQ(model.trained_count(), expected_.at("params"));
  EXPECT_EQ(chw(graph_.shape(graph_.input())), expected_.at("input_chw"));
  EXPECT_EQ(graph_.classes(), expected_.at("classes"));
}

TEST_P(Oracle, Layers) {
  const Summary summary = summarise(graph_, expected_.at("batch"));
  ordered_json ours = ordered_json::array();
  for (const SummaryRow& row : summary.rows) {
    if (!row.leaf) continue;
    ours.push_back({{"name", row.name},
                    {"type", row.type},
                    {"output_chw", chw(row.output)},
                    {"params", row.params}});
  }
  EXPECT_EQ(ours, expected_.at("layers"));
}

TEST_P(Oracle, Totals) {
  const Summary summary = summarise(graph_, expected_.at("batch"));
  EXPECT_EQ(summary.params, expected_.at("params"));
  EXPECT_EQ(summary.mult_adds, expected_.at("total_mult_adds"));
  EXPECT_EQ(summary.forward_backward_bytes, expected_.at("forward_backward_bytes"));
  EXPECT_EQ(summary.params_bytes, expected_.at("params_bytes"));
}

// A net that is registered without facts to hold it against fails in load_oracle().at().
INSTANTIATE_TEST_SUITE_P(Nets,
                         Oracle,
                         testing::ValuesIn(net_ids()),
                         [](const testing::TestParamInfo<std::string>& test) {
                           return test.param;
                         });

}  // namespace
}  // namespace lamina
