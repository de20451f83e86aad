// Every net against tests/fixtures/nets.json, which was read off the PyTorch definitions: the
// state_dict's names, shapes and order, every leaf layer, and torchinfo's totals.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
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

// What nets.json leaves out is filled in: tests/fixtures/make_nets.py says what that is.
class Oracle : public testing::TestWithParam<std::string> {
 protected:
  Oracle() : expected_(load().at(GetParam())), graph_(build_net(GetParam())) {}

  // {{"conv1.weight", {64, 3, 7, 7}}, ...}
  ordered_json state_dict() const {
    ordered_json entries = ordered_json::array();
    for (const ordered_json& row : with_full_names(expected_.at("state_dict"))) {
      const std::string name = row[0];
      if (row[1].is_array()) {
        entries.push_back(row);
        continue;
      }
      for (const char* entry : {"weight", "bias", "running_mean", "running_var"})
        entries.push_back(ordered_json::array({name + "." + entry, ordered_json::array({row[1]})}));
      entries.push_back(
          ordered_json::array({name + ".num_batches_tracked", ordered_json::array()}));
    }
    return entries;
  }

  // {{"conv1", "Conv2d", {64, 112, 112}, 9408}, ...}
  ordered_json layers() const {
    ordered_json rows = with_full_names(expected_.at("layers"));
    ordered_json output;
    for (ordered_json& row : rows) {
      const bool own_output = row.size() > 2 && row[2].is_array();
      if (own_output) output = row[2];
      const ordered_json params = row.size() > (own_output ? 3 : 2) ? row.back() : ordered_json(0);
      row = ordered_json::array({row[0], row[1], output, params});
    }
    return rows;
  }

  ordered_json expected_;
  Graph graph_;

 private:
  static ordered_json load() {
    std::ifstream file(LAMINA_FIXTURES "/nets.json");
    return ordered_json::parse(file);
  }

  static ordered_json with_full_names(ordered_json rows) {
    std::string parent;
    for (ordered_json& row : rows) {
      std::string name = row[0];
      if (name.starts_with('.')) name = parent + name;
      parent = name.substr(0, std::min(name.rfind('.'), name.size()));
      row[0] = name;
    }
    return rows;
  }
};

// As PyTorch gives it, without the batch: [C, H, W] or [F].
ordered_json chw(const Shape& shape) {
  if (shape.flat) return {shape.per_sample()};
  return {shape.c, shape.h, shape.w};
}

TEST_P(Oracle, StateDict) {
  Context ctx = make_context({.backend = BackendKind::ref, .threads = 1});
  const Model model(ctx, graph_);
  ordered_json ours = ordered_json::array();
  for (const Model::Entry& entry : model.entries()) ours.push_back({entry.name, entry.spec.shape});
  EXPECT_EQ(ours, state_dict());
  EXPECT_EQ(model.trained_count(), expected_.at("params"));
  EXPECT_EQ(chw(graph_.shape(graph_.input())), expected_.at("input_chw"));
  EXPECT_EQ(graph_.classes(), expected_.at("classes"));
}

TEST_P(Oracle, Layers) {
  const Summary summary = summarise(graph_, expected_.at("batch"));
  ordered_json ours = ordered_json::array();
  for (const SummaryRow& row : summary.rows) {
    if (!row.leaf) continue;
    ours.push_back({row.name, row.type, chw(row.output), row.params});
  }
  EXPECT_EQ(ours, layers());
}

TEST_P(Oracle, Totals) {
  const Summary summary = summarise(graph_, expected_.at("batch"));
  EXPECT_EQ(summary.params, expected_.at("params"));
  EXPECT_EQ(summary.mult_adds, expected_.at("total_mult_adds"));
  EXPECT_EQ(summary.forward_backward_bytes, expected_.at("forward_backward_bytes"));
  EXPECT_EQ(summary.params_bytes, expected_.at("params_bytes"));
}

// A net that is registered without facts to hold it against fails in load().at().
INSTANTIATE_TEST_SUITE_P(Nets,
                         Oracle,
                         testing::ValuesIn(net_ids()),
                         [](const testing::TestParamInfo<std::string>& test) {
                           return test.param;
                         });

}  // namespace
}  // namespace lamina
