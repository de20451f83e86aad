// Fully connected layers on cuBLASLt. Contract: kernels/linear.h. Not yet run on a GPU.
//
// cuBLASLt's matrices are column-major: a dense row-major [rows, columns] is its columns x rows
// with leading dimension `columns`. So y = x w' is asked for as y' = w x', and so on below.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear.h"

#include <algorithm>

#include "kernels/checks.h"
#include "kernels/cuda/bias.h"
#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/cudnn.h"
#include "kernels/cuda/stream.h"

namespace lamina::cuda {
namespace {

cudaDataType_t data_type(DType dtype) {
  switch (dtype) {
    case DType::bf16:
      return CUDA_R_16BF;
    case DType::f16:
      return CUDA_R_16F;
    default:
      return CUDA_R_32F;
  }
}

// A factor as it lies in memory: column-major, rows x columns, dense.
struct Factor {
  std::int64_t rows, columns;
  bool transposed;
};

// c = op(a) * op(b), c column-major m x n and dense, f32 accumulation. Empty where cuBLASLt has no
// algorithm for it.
class Product {
 public:
  Product() = default;
  Product(Context& ctx,
          const LinearDesc& desc,
          const Factor& a,
          const Factor& b,
          cublasLtEpilogue_t epilogue) {
    const bool tf32 = cudnn_target_of(ctx).f32 == F32Math::tf32 && desc.dtype == DType::f32;
    cublasLtMatmulDesc_t matmul = nullptr;
    LAMINA_CUBLAS_CHECK(cublaslt_library().create_matmul(
        &matmul, tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F));
    matmul_ = LtMatmul(matmul);
    set(CUBLASLT_MATMUL_DESC_TRANSA, a.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, b.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
    const cudaDataType_t type = data_type(desc.dtype);
    a_ = layout(type, a.rows, a.columns);
    b_ = layout(type, b.rows, b.columns);
    c_ = layout(type, a.transposed ? a.columns : a.rows, b.transposed ? b.rows : b.columns);
    if (cublasLtHandle_t handle = cublaslt_of(ctx)) found_ = choose(handle);
  }

  explicit operator bool() const { return found_; }
  std::size_t workspace_bytes() const { return algorithm_.workspaceSize; }

  // bias: what the epilogue adds, or where it puts the bias gradient; null without either.
  void run(Context& ctx, const void* a, const void* b, void* c, const void* bias, void* workspace) {
    if (bias != nullptr) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    constexpr float kOne = 1.0f, kZero = 0.0f;
    LAMINA_CUBLAS_CHECK(cublaslt_library().matmul(cublaslt_of(ctx),
                                                  matmul_.get(),
                                                  &kOne,
                                                  a,
                                                  a_.get(),
                                                  b,
                                                  b_.get(),
                                                  &kZero,
                                                  c,
                                                  c_.get(),
                                                  c,
                                                  c_.get(),
                                                  &algorithm_.algo,
                                                  workspace,
                                                  algorithm_.workspaceSize,
                                                  stream_of(ctx)));
  }

 private:
  template <class V>
  void set(cublasLtMatmulDescAttributes_t attribute, const V& value) {
    LAMINA_CUBLAS_CHECK(
        cublaslt_library().set_matmul(matmul_.get(), attribute, &value, sizeof value));
  }

  static LtLayout layout(cudaDataType_t type, std::int64_t rows, std::int64_t columns) {
    cublasLtMatrixLayout_t made = nullptr;
    LAMINA_CUBLAS_CHECK(cublaslt_library().create_layout(
        &made, type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns), rows));
    return LtLayout(made);
  }

  // The first algorithm of the heuristics; the library sorts them by the time it expects.
  bool choose(cublasLtHandle_t handle) {
    cublasLtMatmulPreference_t made = nullptr;
    LAMINA_CUBLAS_CHECK(cublaslt_library().create_preference(&made));
    const LtPreference preference(made);
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
      LAMINA_CUBLAS_CHECK(cublaslt_library().set_preference(made, attribute, &value, sizeof value));
    };
    constexpr std::uint64_t kWorkspace = std::uint64_t{32} << 20;
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspace);
    // The library assumes 256 bytes if nothing is said.
    constexpr std::uint32_t kAlignment = 16;
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, kAlignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, kAlignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, kAlignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, kAlignment);
    int found = 0;
    const cublasStatus_t status = cublaslt_library().choose_algorithms(handle,
                                                                       matmul_.get(),
                                                                       a_.get(),
                                                                       b_.get(),
                                                                       c_.get(),
                                                                       c_.get(),
                                                                       made,
                                                                       1,
                                                                       &algorithm_,
                                                                       &found);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED) return false;
    LAMINA_CUBLAS_CHECK(status);
    return found > 0;
  }

  LtMatmul matmul_;
  LtLayout a_, b_, c_;
  bool found_ = true;  // taken for granted where there is no device to ask
  cublasLtMatmulHeuristicResult_t algorithm_{};
};

class LtLinear final : public Linear {
 public:
  LtLinear(Context& ctx, const LinearDesc& desc) : ctx_(ctx), desc_(desc) {
    const bool relu = desc.act == Act::relu;
    const cublasLtEpilogue_t epilogue =
        desc.bias ? relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS
        : relu    ? CUBLASLT_EPILOGUE_RELU
                  : CUBLASLT_EPILOGUE_DEFAULT;
    const Factor w{desc.in, desc.k, false}, x{desc.in, desc.n, false}, dy{desc.k, desc.n, false};
    forward_ = {ctx, desc, transposed(w), x, epilogue};
    require(forward_);
    if (desc.backward_data) {
      data_ = {ctx, desc, w, dy, CUBLASLT_EPILOGUE_DEFAULT};
      require(data_);
    }
    if (!desc.backward_weights) return;
    // The library can add up the columns of dy, which it reads here as its second factor. Behind an
    // activation they are added up on the way back through it.
    if (desc.bias && desc.act == Act::none) {
      weights_ = {ctx, desc, x, transposed(dy), CUBLASLT_EPILOGUE_BGRADB};
      sums_bias_ = static_cast<bool>(weights_);
    }
    if (!sums_bias_) weights_ = {ctx, desc, x, transposed(dy), CUBLASLT_EPILOGUE_DEFAULT};
    require(weights_);
  }

  std::size_t workspace_bytes() const override {
    return std::max(
        {forward_.workspace_bytes(), data_.workspace_bytes(), weights_.workspace_bytes()});
  }
  std::string describe() const override {
    return sums_bias_ ? "cuBLASLt, backward_weights+db" : "cuBLASLt";
  }

  void forward(const Tensor& x,
               const Tensor& w,
               const Tensor& b,
               const Tensor& y,
               void* workspace) override {
    checks::linear_forward(desc_, x, w, b, y);
    forward_.run(ctx_, w.data, x.data, y.data, b.data, workspace);
    if (desc_.act != Act::none && desc_.act != Act::relu) cuda::act_forward(ctx_, desc_.act, y, y);
  }

  void backward_data(const Tensor& dy,
                     const Tensor& w,
                     const Tensor& dx,
                     void* workspace) override {
    checks::linear_backward_data(desc_, dy, w, dx);
    data_.run(ctx_, w.data, dy.data, dx.data, nullptr, workspace);
  }

  void backward_weights(const Tensor& x,
                        const Tensor& y,
                        const Tensor& dy,
                        const Tensor& dw,
                        const Tensor& db,
                        void* workspace) override {
    checks::linear_backward_weights(desc_, x, y, dy, dw, db);
    void* bias = nullptr;
    if (sums_bias_)
      bias = db ? db.data : scratch_of(ctx_);  // where nobody wants it
    else
      bias_act_backward(ctx_, desc_.act, y, dy, db);
    weights_.run(ctx_, x.data, dy.data, dw.data, bias, workspace);
  }

 private:
  static void require(const Product& product) {
    if (!product)
      fail("cuBLASLt offers no algorithm for this product on this GPU; update the CUDA toolkit.");
  }
  static Factor transposed(Factor factor) {
    factor.transposed = true;
    return factor;
  }

  Context& ctx_;
  LinearDesc desc_;
  Product forward_, data_, weights_;
  bool sums_bias_ = false;  // weights_ gives the bias gradient too
};

}  // namespace

std::unique_ptr<Linear> make_linear(Context& ctx, const LinearDesc& desc) {
  checks::linear(ctx, desc);
  return std::make_unique<LtLinear>(ctx, desc);
}

}  // namespace lamina::cuda
