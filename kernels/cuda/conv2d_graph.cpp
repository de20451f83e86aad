// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/conv2d_graph.h"

#include <cudnn_frontend.h>

namespace lamina::cuda {
namespace {

namespace fe = cudnn_frontend;
using TensorRef = std::shared_ptr<fe::graph::Tensor_attributes>;
using Dims = std::vector<std::int64_t>;

fe::DataType_t data_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return fe::DataType_t::FLOAT;
    case DType::bf16:
      return fe::DataType_t::BFLOAT16;
    case DType::f16:
      return fe::DataType_t::HALF;
    default:
      fail_request("conv2d: cuDNN takes f32, bf16 and f16, not {}.", name_of(dtype));
  }
}

// cuDNN names the dimensions in the order N, C, H, W (K, C, R, S for filters) however they lie in
// memory; ours lie with C fastest.
struct Layout {
  Dims dims, strides;

  Layout(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w)
      : dims{n, c, h, w}, strides{h * w * c, 1, w * c, c} {}
  explicit Layout(const Shape& s) : Layout(s.n, s.c, s.h, s.w) {}
};

class Builder {
 public:
  explicit Builder(const Conv2dDesc& desc)
      : desc_(desc),
        x_(desc.x),
        w_(desc.k, desc.x.c / desc.groups, desc.r, desc.s),
        y_(desc.y()),
        graph_(std::make_shared<fe::graph::Graph>()) {
    graph_->set_io_data_type(data_type(desc.dtype))
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
  }

  std::shared_ptr<fe::graph::Graph> forward(Epilogue epilogue) {
    TensorRef y = graph_->conv_fprop(
        input("x", kX, x_), input("w", kW, w_), with_window(fe::graph::Conv_fprop_attributes()));
    if (epilogue != Epilogue::none) {
      const TensorRef b = input("b", kB, Layout(1, desc_.k, 1, 1));
      y = graph_->pointwise(y, b, pointwise(fe::PointwiseMode_t::ADD));
    }
    if (epilogue == Epilogue::bias_relu)
      y = graph_->pointwise(y, pointwise(fe::PointwiseMode_t::RELU_FWD));
    return with_output(y, kY, y_);
  }

  std::shared_ptr<fe::graph::Graph> backward_data() {
    return with_output(graph_->conv_dgrad(input("dy", kY, y_),
                                          input("w", kW, w_),
                                          with_window(fe::graph::Conv_dgrad_attributes())),
                       kX,
                       x_);
  }

  std::shared_ptr<fe::graph::Graph> backward_weights() {
    return with_output(graph_->conv_wgrad(input("dy", kY, y_),
                                          input("x", kX, x_),
                                          with_window(fe::graph::Conv_wgrad_attributes())),
                       kW,
                       w_);
  }

 private:
  TensorRef input(const char* name, Conv2dUid uid, const Layout& layout) {
    return graph_->tensor(fe::graph::Tensor_attributes()
                              .set_name(name)
                              .set_uid(uid)
                              .set_dim(layout.dims)
                              .set_stride(layout.strides)
                              .set_alignment(CudnnPlan::kAlignment));
  }

  std::shared_ptr<fe::graph::Graph> with_output(const TensorRef& tensor,
                                                Conv2dUid uid,
                                                const Layout& layout) {
    tensor->set_output(true)
        .set_uid(uid)
        .set_data_type(data_type(desc_.dtype))
        .set_dim(layout.dims)
        .set_stride(layout.strides)
        .set_alignment(CudnnPlan::kAlignment);
    return graph_;
  }

  template <class Attributes>
  Attributes with_window(Attributes attributes) const {
    return attributes.set_padding({desc_.pad_h, desc_.pad_w})
        .set_stride({desc_.stride_h, desc_.stride_w})
        .set_dilation({desc_.dilation_h, desc_.dilation_w});
  }

  static fe::graph::Pointwise_attributes pointwise(fe::PointwiseMode_t mode) {
    return fe::graph::Pointwise_attributes().set_mode(mode);
  }

  const Conv2dDesc& desc_;
  const Layout x_, w_, y_;
  std::shared_ptr<fe::graph::Graph> graph_;
};

}  // namespace

std::shared_ptr<fe::graph::Graph> conv2d_graph(const Conv2dDesc& desc,
                                               Conv2dPass pass,
                                               Epilogue epilogue) {
  Builder builder(desc);
  switch (pass) {
    case Conv2dPass::forward:
      return builder.forward(epilogue);
    case Conv2dPass::backward_data:
      return builder.backward_data();
    case Conv2dPass::backward_weights:
      return builder.backward_weights();
  }
  fail_request("conv2d: no such pass.");
}

}  // namespace lamina::cuda
