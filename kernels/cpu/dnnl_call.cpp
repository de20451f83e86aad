// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/dnnl_call.h"

#include <algorithm>

namespace lamina::cpu {
namespace {

constexpr std::size_t kAlignment = 64;

// oneDNN has no const handles.
void point(dnnl::memory& memory, const void* data) {
  memory.set_data_handle(const_cast<void*>(data));
}

}  // namespace

DnnlCall::DnnlCall(const dnnl::engine& engine,
                   const dnnl::primitive& primitive,
                   const dnnl::memory::desc& scratchpad,
                   const std::vector<Operand>& inputs,
                   const std::vector<Operand>& outputs)
    : primitive_(primitive) {
  for (const Operand& operand : inputs) bind(engine, operand, false);
  for (const Operand& operand : outputs) bind(engine, operand, true);
  if (scratchpad.get_size() > 0) {
    scratchpad_ = dnnl::memory(scratchpad, engine, DNNL_MEMORY_NONE);
    scratchpad_offset_ = reserve(scratchpad.get_size());
    args_.insert({DNNL_ARG_SCRATCHPAD, scratchpad_});
  }
}

std::size_t DnnlCall::reserve(std::size_t bytes) {
  const std::size_t offset = workspace_bytes_;
  workspace_bytes_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return offset;
}

void DnnlCall::bind(const dnnl::engine& engine, const Operand& operand, bool output) {
  Binding b;
  b.output = output;
  b.ours = dnnl::memory(operand.ours, engine, DNNL_MEMORY_NONE);
  if (operand.ours != operand.wanted) {
    b.inner = dnnl::memory(operand.wanted, engine, DNNL_MEMORY_NONE);
    b.inner_offset = reserve(operand.wanted.get_size());
    const dnnl::memory& from = output ? b.inner : b.ours;
    const dnnl::memory& to = output ? b.ours : b.inner;
    b.reorder = dnnl::reorder(from, to);
    b.reorder_args = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
  }
  args_.insert({operand.arg, b.inner ? b.inner : b.ours});
  bindings_.push_back(std::move(b));
}

int DnnlCall::reorders() const {
  return static_cast<int>(std::count_if(
      bindings_.begin(), bindings_.end(), [](const Binding& b) { return bool{b.inner}; }));
}

void DnnlCall::run(dnnl::stream& stream,
                   std::initializer_list<const void*> pointers,
                   void* workspace) {
  auto* const base = static_cast<std::byte*>(workspace);
  auto pointer = pointers.begin();
  for (Binding& b : bindings_) {
    point(b.ours, *pointer++);
    if (!b.inner) continue;
    point(b.inner, base + b.inner_offset);
    if (!b.output) b.reorder.execute(stream, b.reorder_args);
  }
  if (scratchpad_) point(scratchpad_, base + scratchpad_offset_);
  primitive_.execute(stream, args_);
  for (Binding& b : bindings_)
    if (b.inner && b.output) b.reorder.execute(stream, b.reorder_args);
  stream.wait();
}

}  // namespace lamina::cpu
