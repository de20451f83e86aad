// The parameters of a net on a device: values, gradients and running statistics, one slab each.
//
// At the border (state_dict, load) names, order, shapes and element order are PyTorch's; inside,
// filters are K,R,S,C. Several Programs share one Model.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/files/safetensors.h"
#include "engine/graph/graph.h"

namespace lamina {

class Model {
 public:
  // dtype: of parameters, gradients and statistics; f32, or f64 on the reference backend.
  Model(Context& ctx, Graph graph, DType dtype = DType::f32);

  struct Entry {
    std::string name;  // "conv1.0.weight"
    ParamSpec spec;
    std::int64_t offset = 0;  // in elements of its slab
  };
  const std::vector<Entry>& entries() const { return entries_; }
  std::size_t index_of(const std::string& name) const { return index_.at(name); }
  Tensor value(std::size_t entry) const;
  Tensor gradient(std::size_t entry) const;  // empty for buffers and counters

  // The slabs of the trained parameters, for the optimizer. Gaps between tensors hold zeros.
  Tensor weights() const { return vector_view(weights_.data(), dtype_, trained_elements_); }
  Tensor gradients() const { return vector_view(gradients_.data(), dtype_, trained_elements_); }

  // Draws every parameter by its Init rule; the same seed gives the same numbers on every backend.
  void initialise(std::uint64_t seed);

  TensorFile state_dict() const;
  TensorFile gradient_dict() const;
  // Every tensor must be there with its shape, and no other: an error lists what is not. `origin`
  // is the file's name for the message. Reads f32, f64, bf16 and f16.
  void load_state_dict(const TensorFile& file, const std::string& origin);

  // Optimizer state has the layout of weights(); these give it the parameters' names, with
  // `prefix`.
  void export_slab(const Buffer& slab, const std::string& prefix, TensorFile& file) const;
  void import_slab(const TensorFile& file,
                   const std::string& prefix,
                   const std::string& origin,
                   Buffer& slab);
  Buffer make_slab() const;  // zeros, like weights()

  Context& context() const { return *ctx_; }
  const Graph& graph() const { return graph_; }
  DType dtype() const { return dtype_; }
  std::int64_t trained_count() const;  // PyTorch's parameter count

 private:
  HostTensor export_tensor(const Entry& entry, const Tensor& from) const;
  void import_tensor(const HostTensor& from, const Entry& entry, const Tensor& to);

  Context* ctx_;
  Graph graph_;
  DType dtype_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string, std::size_t> index_;
  std::int64_t trained_elements_ = 0;
  Buffer weights_, gradients_, statistics_, counters_;
};

}  // namespace lamina
