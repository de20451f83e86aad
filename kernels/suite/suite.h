// All case tables: kernels/suite/OP.cpp beside kernels/{ref,cpu,cuda}/OP, each with a function
// add_OP() that lists its tables here.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kernels/suite/table.h"

namespace lamina::suite {

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

  void add(const char* name, std::function<void(Table&)> run);
  void add_gradients(const char* name, std::function<void(Table&)> run);

 private:
  std::string op_;  // whose tables are being added
  std::vector<Entry> entries_;
};

}  // namespace lamina::suite
