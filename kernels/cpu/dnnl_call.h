// One oneDNN primitive between tensors of ours: where it wants another layout than ours, the
// operand is reordered through the workspace.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <unordered_map>
#include <vector>

#include "kernels/cpu/dnnl.h"

namespace lamina::cpu {

class DnnlCall {
 public:
  // `arg` is DNNL_ARG_...; `ours` describes the caller's memory, `wanted` what the primitive takes.
  struct Operand {
    int arg;
    dnnl::memory::desc ours, wanted;
  };

  DnnlCall() = default;
  // The operands come in the order of the pointers of run(); the outputs last. The primitive was
  // made with scratchpad_mode::user.
  DnnlCall(const dnnl::engine& engine,
           const dnnl::primitive& primitive,
           const dnnl::memory::desc& scratchpad,
           const std::vector<Operand>& inputs,
           const std::vector<Operand>& outputs);

  bool planned() const { return !bindings_.empty(); }
  int reorders() const;  // operands that go through the workspace
  std::size_t workspace_bytes() const { return workspace_bytes_; }

  // `pointers`: one for each operand, inputs first.
  void run(dnnl::stream& stream, std::initializer_list<const void*> pointers, void* workspace);

 private:
  struct Binding {
    dnnl::memory ours;   // set to the caller's pointer
    dnnl::memory inner;  // in the workspace; empty when the layouts agree
    std::size_t inner_offset = 0;
    dnnl::reorder reorder;
    std::unordered_map<int, dnnl::memory> reorder_args;
    bool output = false;
  };
  void bind(const dnnl::engine& engine, const Operand& operand, bool output);
  std::size_t reserve(std::size_t bytes);

  dnnl::primitive primitive_;
  std::vector<Binding> bindings_;
  std::unordered_map<int, dnnl::memory> args_;
  dnnl::memory scratchpad_;
  std::size_t scratchpad_offset_ = 0, workspace_bytes_ = 0;
};

}  // namespace lamina::cpu
