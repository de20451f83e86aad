// Softmax: a warp a row. Contract: kernels/softmax.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/softmax.h"

#include "kernels/checks.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/visit.h"

namespace lamina {
namespace {

template <class T>
LAMINA_KERNEL forward(const T* x, T* y, std::int64_t rows, int length, bool log) {
  const int lane = cuda::lane();
  for (std::int64_t row = cuda::first_warp(); row < rows; row += cuda::all_warps()) {
    const T* const xs = x + row * length;
    T* const ys = y + row * length;
    const float largest = cuda::row_max(xs, length);
    const float sum = cuda::row_exp_sum(xs, length, largest);
    const float shift = log ? logf(sum) : 0.0f;
    for (int f = lane; f < length; f += cuda::kWarp) {
      const float centred = cuda::as_f32(xs[f]) - largest;
      ys[f] = cuda::from_f32<T>(log ? centred - shift : expf(centred) / sum);
    }
  }
}

template <class T>
LAMINA_KERNEL backward(const T* y, const T* dy, T* dx, std::int64_t rows, int length, bool log) {
  const int lane = cuda::lane();
  for (std::int64_t row = cuda::first_warp(); row < rows; row += cuda::all_warps()) {
    const T* const ys = y + row * length;
    const T* const dys = dy + row * length;
    float sum = 0.0f;
    for (int f = lane; f < length; f += cuda::kWarp)
      sum += cuda::as_f32(dys[f]) * (log ? 1.0f : cuda::as_f32(ys[f]));
    sum = cuda::warp_sum(sum);
    for (int f = lane; f < length; f += cuda::kWarp) {
      const float g = cuda::as_f32(dys[f]), value = cuda::as_f32(ys[f]);
      dx[row * length + f] = cuda::from_f32<T>(log ? g - expf(value) * sum : value * (g - sum));
    }
  }
}

void run_forward(Context& ctx, const char* name, const Tensor& x, const Tensor& y, bool log) {
  checks::softmax_forward(ctx, name, x, y);
  cuda::visit_compute(x.dtype, name, [&]<class T>(T) {
    cuda::launch(ctx,
                 name,
                 cuda::blocks_for(x.shape.n * cuda::kWarp),
                 cuda::kBlock,
                 forward<T>,
                 x.as<T>(),
                 y.as<T>(),
                 x.shape.n,
                 static_cast<int>(x.shape.per_sample()),
                 log);
  });
}

void run_backward(
    Context& ctx, const char* name, const Tensor& y, const Tensor& dy, const Tensor& dx, bool log) {
  checks::softmax_backward(ctx, name, y, dy, dx);
  cuda::visit_compute(y.dtype, name, [&]<class T>(T) {
    cuda::launch(ctx,
                 name,
                 cuda::blocks_for(y.shape.n * cuda::kWarp),
                 cuda::kBlock,
                 backward<T>,
                 y.as<T>(),
                 dy.as<T>(),
                 dx.as<T>(),
                 y.shape.n,
                 static_cast<int>(y.shape.per_sample()),
                 log);
  });
}

}  // namespace

void cuda::softmax_forward(Context& ctx, const Tensor& x, const Tensor& y) {
  run_forward(ctx, "softmax_forward", x, y, false);
}
void cuda::softmax_backward(Context& ctx, const Tensor& y, const Tensor& dy, const Tensor& dx) {
  run_backward(ctx, "softmax_backward", y, dy, dx, false);
}
void cuda::log_softmax_forward(Context& ctx, const Tensor& x, const Tensor& y) {
  run_forward(ctx, "log_softmax_forward", x, y, true);
}
void cuda::log_softmax_backward(Context& ctx, const Tensor& y, const Tensor& dy, const Tensor& dx) {
  run_backward(ctx, "log_softmax_backward", y, dy, dx, true);
}

}  // namespace lamina
