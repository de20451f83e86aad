// The parameters of a net on a device: values, gradients and running statistics, one slab each.
// With a 16-bit compute dtype, the factors of products (filters, weights, their biases) have a copy
// in it, which the passes read, and gradients in it; the values proper stay f32.
//
// At the border (state_dict, load) names, order, shapes and element order are PyTorch's; inside,
// filters are K,R,S,C. Several Programs share one Model.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/core/precision.h"
#include "engine/files/safetensors.h"
#include "engine/graph/graph.h"

namespace lamina {

class Model {
 public:
  // dtype: of parameters and statistics; f32, or f64 on the reference backend. compute: of
  // activations and products; the same unless it is bf16 or f16. trains: it has gradients.
  Model(Context& ctx,
        Graph graph,
        DType dtype = DType::f32,
        std::optional<DType> compute = std::nullopt,
        bool trains = true);
  Model(Context& ctx, Graph graph, Precision precision, bool trains = true)
      : Model(ctx,
              std::move(graph),
              parameter_dtype(precision),
              lamina::compute_dtype(precision),
              trains) {}

  struct Entry {
    std::string name;  // "conv1.0.weight"
    ParamSpec spec;
    std::int64_t offset = 0;  // in elements of its slab
  };
  const std::vector<Entry>& entries() const { return entries_; }
  std::size_t index_of(const std::string& name) const { return index_.at(name); }
  Tensor value(std::size_t entry) const;
  Tensor operand(std::size_t entry) const;   // what the passes read: the value or its copy
  Tensor gradient(std::size_t entry) const;  // empty for buffers and counters

  // Stretches of the parameter slab that are treated alike, for the optimizer: their gradients have
  // one dtype and, when split, they are all filters and matrices or all vectors (biases, the
  // parameters of norms). Gaps between tensors hold zeros.
  struct Stretch {
    std::int64_t first = 0;  // element of the slab, and of slabs like it
    Tensor w, dw, copy;      // copy is empty where the passes read w itself
    bool matrices = false;   // when split
  };
  std::vector<Stretch> stretches(bool split = false) const;
  Tensor statistics() const;  // all buffers; gaps hold zeros
  // Takes over the values of a model of the same graph on the same device.
  void copy_from(const Model& other);
  // The parameter at this element of the slab; "?" in a gap.
  std::string name_at(std::int64_t element) const;

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
  Buffer make_slab() const;  // zeros, as long as the parameter slab

  Context& context() const { return *ctx_; }
  const Graph& graph() const { return graph_; }
  DType dtype() const { return dtype_; }
  DType compute_dtype() const { return compute_; }
  std::int64_t trained_count() const;  // PyTorch's parameter count
  std::size_t parameter_bytes() const { return weights_.size() + copies_.size(); }
  std::size_t gradient_bytes() const { return gradients_.size() + copy_gradients_.size(); }

 private:
  HostTensor export_tensor(const Entry& entry, const Tensor& from) const;
  void import_tensor(const HostTensor& from, const Entry& entry, const Tensor& to);
  void import_value(const HostTensor& from, std::size_t entry);
  bool is_mixed() const { return compute_ != dtype_; }
  // The parameters at the front of the slab that have a copy.
  std::int64_t copied_elements() const { return is_mixed() ? factor_elements_ : 0; }
  bool has_copy(const Entry& entry) const { return is_mixed() && entry.spec.factor; }

  Context* ctx_;
  Graph graph_;
  DType dtype_, compute_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string, std::size_t> index_;
  std::int64_t trained_elements_ = 0, factor_elements_ = 0, matrix_elements_ = 0;
  Buffer weights_, statistics_, counters_;
  Buffer gradients_;                // of all, or when mixed of those that have no copy
  Buffer copies_, copy_gradients_;  // of the factors, when mixed
};

}  // namespace lamina
