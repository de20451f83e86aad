// What the passes of a convolution on oneDNN share, and its weight gradient.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "kernels/conv2d.h"
#include "kernels/cpu/dnnl_call.h"

namespace lamina::cpu {

// A tensor in oneDNN's order of dimensions: as it lies in our memory, and with the layout left
// open.
struct DnnlOperand {
  dnnl::memory::desc ours, open;

  DnnlOperand(const dnnl::memory::dims& dims, const dnnl::memory::dims& strides, DType dtype)
      : ours(dims, dnnl_type(dtype), strides),
        open(dims, dnnl_type(dtype), dnnl::memory::format_tag::any) {}
  const dnnl::memory::desc& layout(bool leave_open) const { return leave_open ? open : ours; }
};

DnnlOperand dnnl_image(const Shape& s, DType dtype);
// Their gradients are f32 while they are being added up.
DnnlOperand dnnl_filters(const Conv2dDesc& d, DType dtype);

// How the window moves, as oneDNN counts.
struct DnnlWindow {
  dnnl::memory::dims stride, dilation, pad;
  explicit DnnlWindow(const Conv2dDesc& d)
      : stride{d.stride_h, d.stride_w},
        dilation{d.dilation_h - 1, d.dilation_w - 1},
        pad{d.pad_h, d.pad_w} {}
};

// NHWC first; where oneDNN has only its reference loops for that, its own layout and reorders.
template <class MakePd>
auto best_pd(const MakePd& make) {
  const auto is_reference = [](const auto& pd) {
    return std::string_view(pd.impl_info_str()).starts_with("ref");
  };
  auto pd = make(false);
  if (is_reference(pd)) {
    const auto open = make(true);
    if (!is_reference(open)) pd = open;
  }
  return pd;
}

// The forward pass; the hint for the others.
dnnl::convolution_forward::primitive_desc dnnl_forward_pd(const dnnl::engine& engine,
                                                          const dnnl::primitive_attr& attr,
                                                          const Conv2dDesc& d);

// dw[k,r,s,c] and db[k], the same bits for any number of threads.
//
// Left to itself, oneDNN splits the batch or the channels as the number of threads suggests, and
// adds up in another order. Here the shape alone decides: the work is cut into a fixed grid of
// chunks of the batch and chunks of the filters, each of them a primitive planned for one thread.
// Chunks of the batch have a gradient each in the workspace, added up in their order; a chunk of
// filters reads a dense copy of its part of dy. In bf16 all chunks have one, in f32.
class DnnlWeightGradient {
 public:
  struct Grid {
    std::int64_t images = 1, filters = 1;  // chunks of the batch, of the filters
  };

  DnnlWeightGradient() = default;
  DnnlWeightGradient(Context& ctx, const Conv2dDesc& desc, bool with_bias);

  std::size_t workspace_bytes() const { return workspace_bytes_; }
  const std::string& name() const { return name_; }
  int reorders() const { return workers_.front().usual.reorders() + (collect_ ? 1 : 0); }

  // db: null where nobody wants it, or it is not this primitive's.
  void run(const void* x, const void* dy, void* dw, void* db, void* workspace);

 private:
  struct Worker {
    dnnl::stream stream;
    DnnlCall usual, last;  // chunks of the batch differ by an image
  };
  struct Chunk;

  DnnlCall plan(const Conv2dDesc& chunk, bool first);
  void run_chunk(Worker& worker, const Chunk& chunk, std::byte* scratch);
  void add_up(std::byte* dw, std::byte* db, float* partial);

  Context* ctx_ = nullptr;
  Conv2dDesc desc_;
  std::int64_t element_ = 0;  // bytes
  bool with_bias_ = false, partials_ = false;
  std::vector<std::int64_t> blind_taps_;
  Grid grid_;
  dnnl::memory::desc filters_;  // of a chunk, as the primitives write them
  std::int64_t partial_floats_ = 0;
  std::vector<Worker> workers_;  // one for each thread
  std::size_t call_bytes_ = 0, worker_bytes_ = 0, workspace_bytes_ = 0;
  dnnl::stream stream_;
  dnnl::memory sums_, dw_;
  dnnl::reorder collect_;
  std::string name_;
};

// The grid for a shape, by a model of what copying and adding cost.
DnnlWeightGradient::Grid weight_gradient_grid(const Conv2dDesc& d);

}  // namespace lamina::cpu
