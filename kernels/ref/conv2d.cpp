// Convolution in plain loops. Contract: kernels/conv2d.h.
//
// The three passes are one loop nest: each term of the sum ties an element of x, of w and of y
// together, and a pass adds the product of two of them to the third.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/conv2d.h"

#include "kernels/checks.h"
#include "kernels/ref/pointwise.h"
#include "kernels/ref/sums.h"

namespace lamina {
namespace {

// Calls body(x_index, w_index, y_index) for every term x[...] * w[...] of every y[...].
template <class Body>
void for_each_term(const Conv2dDesc& d, Body&& body) {
  const Shape x = d.x, y = d.y();
  const std::int64_t group_c = x.c / d.groups, group_k = d.k / d.groups;
  for (std::int64_t n = 0; n < y.n; ++n)
    for (std::int64_t p = 0; p < y.h; ++p)
      for (std::int64_t q = 0; q < y.w; ++q)
        for (std::int64_t k = 0; k < d.k; ++k) {
          const std::int64_t y_index = ((n * y.h + p) * y.w + q) * y.c + k;
          const std::int64_t first_c = k / group_k * group_c;
          for (std::int64_t r = 0; r < d.r; ++r)
            for (std::int64_t s = 0; s < d.s; ++s) {
              const std::int64_t h = p * d.stride_h + r * d.dilation_h - d.pad_h;
              const std::int64_t w = q * d.stride_w + s * d.dilation_w - d.pad_w;
              if (h < 0 || h >= x.h || w < 0 || w >= x.w) continue;
              const std::int64_t x_index = ((n * x.h + h) * x.w + w) * x.c + first_c;
              const std::int64_t w_index = ((k * d.r + r) * d.s + s) * group_c;
              for (std::int64_t c = 0; c < group_c; ++c) body(x_index + c, w_index + c, y_index);
            }
        }
}

class Conv2dLoops final : public Conv2d {
 public:
  explicit Conv2dLoops(const Conv2dDesc& desc) : desc_(desc) {}

  std::size_t workspace_bytes() const override { return 0; }
  std::string describe() const override { return "plain loops"; }

  void forward(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& y, void*) override {
    checks::conv2d_forward(desc_, x, w, b, y);
    visit_real(desc_.dtype, "conv2d", [&]<class T>(T) {
      const T* const xs = x.as<T>();
      const T* const ws = w.as<T>();
      std::vector<double> sums = ref::zeros(y);
      if (b) {
        for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = b.as<T>()[i % desc_.k];
      }
      for_each_term(desc_, [&](std::int64_t xi, std::int64_t wi, std::int64_t yi) {
        sums[yi] += static_cast<double>(xs[xi]) * ws[wi];
      });
      for (double& sum : sums) sum = ref::activate(desc_.act, sum);
      ref::store<T>(sums, y);
    });
  }

  void backward_data(const Tensor& dy, const Tensor& w, const Tensor& dx, void*) override {
    checks::conv2d_backward_data(desc_, dy, w, dx);
    visit_real(desc_.dtype, "conv2d", [&]<class T>(T) {
      const T* const dys = dy.as<T>();
      const T* const ws = w.as<T>();
      std::vector<double> sums = ref::zeros(dx);
      for_each_term(desc_, [&](std::int64_t xi, std::int64_t wi, std::int64_t yi) {
        sums[xi] += static_cast<double>(dys[yi]) * ws[wi];
      });
      ref::store<T>(sums, dx);
    });
  }

  void backward_weights(const Tensor& x,
                        const Tensor& y,
                        const Tensor& dy,
                        const Tensor& dw,
                        const Tensor& db,
                        void*) override {
    checks::conv2d_backward_weights(desc_, x, y, dy, dw, db);
    visit_real(desc_.dtype, "conv2d", [&]<class T>(T) {
      ref::back_through<T>(desc_.act, y, dy);
      const T* const xs = x.as<T>();
      const T* const dys = dy.as<T>();
      std::vector<double> sums = ref::zeros(dw);
      for_each_term(desc_, [&](std::int64_t xi, std::int64_t wi, std::int64_t yi) {
        sums[wi] += static_cast<double>(dys[yi]) * xs[xi];
      });
      ref::store<T>(sums, dw);
      if (!db) return;
      std::vector<double> columns = ref::zeros(db);
      for (std::int64_t i = 0; i < dy.numel(); ++i) columns[i % desc_.k] += dys[i];
      ref::store<T>(columns, db);
    });
  }

 private:
  Conv2dDesc desc_;
};

}  // namespace

std::unique_ptr<Conv2d> ref::make_conv2d(Context& ctx, const Conv2dDesc& desc) {
  checks::conv2d(ctx, desc);
  return std::make_unique<Conv2dLoops>(desc);
}

}  // namespace lamina
