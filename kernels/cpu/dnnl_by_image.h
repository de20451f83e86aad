// A convolution pass on oneDNN, image by image, each on one thread.
//
// For what oneDNN does by a matrix product that splits its sums (splits_sums() in dnnl.h): cut like
// this, the bits depend on no thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "engine/core/context.h"
#include "engine/core/tensor.h"
#include "kernels/cpu/dnnl_call.h"

namespace lamina::cpu {

class DnnlByImage {
 public:
  DnnlByImage() = default;
  // in, out: the batches the pass reads and writes. make() plans the pass for one image, with the
  // operands in, filters [, bias], out; the filters as `wanted`, the layout the primitive asks for.
  DnnlByImage(Context& ctx,
              const Shape& in,
              const Shape& out,
              DType dtype,
              const dnnl::memory::desc& filters,
              const dnnl::memory::desc& wanted,
              const std::function<DnnlCall()>& make);

  explicit operator bool() const { return ctx_ != nullptr; }

  std::size_t workspace_bytes() const { return workspace_bytes_; }
  int reorders() const { return (filter_bytes_ > 0 ? 1 : 0) + workers_.front().call.reorders(); }

  // bias: null for a pass without one.
  void run(const void* in, const void* w, const void* bias, void* out, void* workspace);

 private:
  struct Worker {
    dnnl::stream stream;
    DnnlCall call;
  };

  Context* ctx_ = nullptr;
  std::int64_t images_ = 0, in_bytes_ = 0, out_bytes_ = 0;  // of an image
  std::size_t filter_bytes_ = 0, call_bytes_ = 0, workspace_bytes_ = 0;
  dnnl::stream stream_;
  dnnl::memory ours_, wanted_;  // the filters; without a reorder both layouts are the same
  dnnl::reorder reorder_;
  std::vector<Worker> workers_;  // one for each thread
};

}  // namespace lamina::cpu
