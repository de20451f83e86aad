// All case tables: kernels/suite/OP.cpp beside kernels/{ref,cpu,cuda}/OP, each with a function
// add_OP() that lists its tables here.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <any>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "kernels/suite/table.h"

namespace lamina::suite {

// The name of the tables whose cases are layers of nets.
inline constexpr const char* kLayersOfNets = "LayersOfNets";

// One layer of a net, as it is there.
struct LayerCase {
  std::string name;  // net/layer@batch
  std::vector<Shape> x;
  Shape y;
  std::any opts = {};  // of the op
};

class Suite {
 public:
  Suite();  // with the tables of every op

  struct Entry {
    std::string op;    // the file
    std::string name;  // of the table in it
    std::function<void(Table&)> run;
    bool gradients = false;  // differences on ref: nothing in it depends on the backend
  };
  const std::vector<Entry>& entries() const { return entries_; }

  // How a layer becomes cases; null where the op has no layers.
  using LayerCheck = void (*)(Table&, const LayerCase&);
  LayerCheck layer_check(const std::string& op) const;
  // `op` is the name in KernelWork; the cases' names begin with it.
  void add_layer(const char* op, LayerCheck check) { layers_[op] = {op_, check}; }
  // The file of kernels/suite that has the op's layers.
  std::string file_of(const std::string& op) const;

  void add(Entry entry) { entries_.push_back(std::move(entry)); }
  void add(const char* name, std::function<void(Table&)> run);
  void add_gradients(const char* name, std::function<void(Table&)> run);

 private:
  std::string op_;  // whose tables are being added
  std::vector<Entry> entries_;
  std::map<std::string, std::pair<std::string, LayerCheck>> layers_;  // by op
};

}  // namespace lamina::suite
