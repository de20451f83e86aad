// Fully connected layer in plain loops. Contract: kernels/linear.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear.h"

#include "kernels/checks.h"
#include "kernels/ref/pointwise.h"

namespace lamina {
namespace {

class LinearLoops final : public Linear {
 public:
  explicit LinearLoops(const LinearDesc& desc) : desc_(desc) {}

  std::size_t workspace_bytes() const override { return 0; }
  std::string describe() const override { return "plain loops"; }

  void forward(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& y, void*) override {
    checks::linear_forward(desc_, x, w, b, y);
    visit_real(desc_.dtype, "linear", [&]<class T>(T) {
      for (std::int64_t n = 0; n < desc_.n; ++n)
        for (std::int64_t k = 0; k < desc_.k; ++k) {
          double sum = b ? b.as<T>()[k] : 0.0;
          const T* const row = x.as<T>() + n * desc_.in;
          const T* const filter = w.as<T>() + k * desc_.in;
          for (std::int64_t i = 0; i < desc_.in; ++i)
            sum += static_cast<double>(row[i]) * filter[i];
          y.as<T>()[n * desc_.k + k] = static_cast<T>(ref::activate(desc_.act, sum));
        }
    });
  }

  void backward_data(const Tensor& dy, const Tensor& w, const Tensor& dx, void*) override {
    checks::linear_backward_data(desc_, dy, w, dx);
    visit_real(desc_.dtype, "linear", [&]<class T>(T) {
      for (std::int64_t n = 0; n < desc_.n; ++n)
        for (std::int64_t i = 0; i < desc_.in; ++i) {
          double sum = 0;
          for (std::int64_t k = 0; k < desc_.k; ++k)
            sum += static_cast<double>(dy.as<T>()[n * desc_.k + k]) * w.as<T>()[k * desc_.in + i];
          dx.as<T>()[n * desc_.in + i] = static_cast<T>(sum);
        }
    });
  }

  void backward_weights(const Tensor& x,
                        const Tensor& y,
                        const Tensor& dy,
                        const Tensor& dw,
                        const Tensor& db,
                        void*) override {
    checks::linear_backward_weights(desc_, x, y, dy, dw, db);
    visit_real(desc_.dtype, "linear", [&]<class T>(T) {
      ref::back_through<T>(desc_.act, y, dy);
      for (std::int64_t k = 0; k < desc_.k; ++k) {
        for (std::int64_t i = 0; i < desc_.in; ++i) {
          double sum = 0;
          for (std::int64_t n = 0; n < desc_.n; ++n)
            sum += static_cast<double>(dy.as<T>()[n * desc_.k + k]) * x.as<T>()[n * desc_.in + i];
          dw.as<T>()[k * desc_.in + i] = static_cast<T>(sum);
        }
        if (!db) continue;
        double column = 0;
        for (std::int64_t n = 0; n < desc_.n; ++n) column += dy.as<T>()[n * desc_.k + k];
        db.as<T>()[k] = static_cast<T>(column);
      }
    });
  }

 private:
  LinearDesc desc_;
};

}  // namespace

std::unique_ptr<Linear> ref::make_linear(Context& ctx, const LinearDesc& desc) {
  checks::linear(ctx, desc);
  return std::make_unique<LinearLoops>(desc);
}

}  // namespace lamina
