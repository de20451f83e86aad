// Not yet run on a GPU.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/device.h"

#include <cuda_profiler_api.h>
#include <nvtx3/nvToolsExt.h>

#include <cstdlib>
#include <string_view>

#include "kernels/cuda/plan_timer.h"
#include "kernels/cuda/probe.h"
#include "kernels/cuda/stream.h"

namespace lamina::cuda {
namespace {

using Graph = Handle<cudaGraph_t, &cudaGraphDestroy>;
using GraphExec = Handle<cudaGraphExec_t, &cudaGraphExecDestroy>;

class CudaRecording final : public Recording {
 public:
  CudaRecording(GraphExec graph, cudaStream_t stream) : graph_(std::move(graph)), stream_(stream) {}
  void replay() override { LAMINA_CUDA_CHECK(cudaGraphLaunch(graph_.get(), stream_)); }

 private:
  GraphExec graph_;
  cudaStream_t stream_;
};

// The GPU the runtime would choose, or the reason why there is none.
cudaDeviceProp usable_device() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    const char* const reason =
        status == cudaSuccess ? "the driver lists no device" : cudaGetErrorString(status);
    fail_request(
        "CUDA finds no GPU ({}); install or update the NVIDIA driver, or run with "
        "--device cpu.",
        reason);
  }
  int device = 0;
  LAMINA_CUDA_CHECK(cudaGetDevice(&device));
  cudaDeviceProp properties{};
  LAMINA_CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
  if (!kernels_run_here()) {
    fail_request(
        "{} has compute capability {}.{}, which this build ({}) has no code for; "
        "configure with -DCMAKE_CUDA_ARCHITECTURES={}{}.",
        properties.name,
        properties.major,
        properties.minor,
        LAMINA_CUDA_ARCHITECTURES,
        properties.major,
        properties.minor);
  }
  return properties;
}

CudaDevice& device_of(Context& ctx) {
  auto* const device = dynamic_cast<CudaDevice*>(&ctx.device());
  LAMINA_CHECK(device != nullptr,
               "a CUDA kernel was launched on the {} backend; this is a bug of Lamina's.",
               name_of(ctx.backend()));
  return *device;
}

}  // namespace

CudaDevice::CudaDevice(const ContextOpts& opts)
    : properties_(usable_device()), f32_(opts.tf32 ? F32Math::tf32 : F32Math::exact) {
  cudaStream_t stream = nullptr;
  LAMINA_CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  stream_ = Stream(stream);
  cublasLtHandle_t products = nullptr;
  LAMINA_CUBLAS_CHECK(cublaslt_library().create(&products));
  cublaslt_ = LtHandle(products);
  cudnnHandle_t cudnn = nullptr;
  LAMINA_CUDNN_CHECK(cudnnCreate(&cudnn));
  cudnn_ = CudnnHandle(cudnn);
  LAMINA_CUDNN_CHECK(cudnnSetStream(cudnn, stream));
  if (opts.autotune) timer_ = make_plan_timer(*this, stream);
  scratch_ = allocate(kScratchBytes);
  tickets_ = allocate(kTickets * sizeof(std::uint32_t));
  zero(tickets_, kTickets * sizeof(std::uint32_t));
  const char* const sync = std::getenv("LAMINA_SYNC");
  checks_launches_ = sync != nullptr && std::string_view(sync) == "1";
}

CudaDevice::~CudaDevice() {
  release(tickets_);
  release(scratch_);
}

void* CudaDevice::allocate(std::size_t bytes) {
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, bytes == 0 ? 1 : bytes);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());  // the error is ours now, the next call starts clean
    std::size_t free = 0, total = 0;
    LAMINA_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    fail("{} MB were planned in one piece and {} of {} MB are free on {}; lower the batch size.",
         bytes >> 20,
         free >> 20,
         total >> 20,
         properties_.name);
  }
  LAMINA_CUDA_CHECK(status);
  return data;
}

void CudaDevice::release(void* data) noexcept { static_cast<void>(cudaFree(data)); }

void CudaDevice::copy_in(void* device, const void* host, std::size_t bytes) {
  LAMINA_CUDA_CHECK(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream()));
  synchronize();  // the caller may change `host` at once
}

void CudaDevice::copy_out(void* host, const void* device, std::size_t bytes) {
  LAMINA_CUDA_CHECK(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream()));
  synchronize();
}

void CudaDevice::copy_on(void* to, const void* from, std::size_t bytes) {
  LAMINA_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()));
}

// Not yet run on a GPU. What was queued before runs on while body() launches, so that the launches
// themselves do not count.
double CudaDevice::time_ms(const std::function<void()>& body) {
  for (Event* event : {&begin_, &end_}) {
    if (*event) continue;
    cudaEvent_t made = nullptr;
    LAMINA_CUDA_CHECK(cudaEventCreate(&made));
    *event = Event(made);
  }
  LAMINA_CUDA_CHECK(cudaEventRecord(begin_.get(), stream()));
  body();
  LAMINA_CUDA_CHECK(cudaEventRecord(end_.get(), stream()));
  LAMINA_CUDA_CHECK(cudaEventSynchronize(end_.get()));
  float ms = 0;
  LAMINA_CUDA_CHECK(cudaEventElapsedTime(&ms, begin_.get(), end_.get()));
  return ms;
}

void CudaDevice::zero(void* device, std::size_t bytes) {
  if (bytes > 0) LAMINA_CUDA_CHECK(cudaMemsetAsync(device, 0, bytes, stream()));
}

std::optional<std::size_t> CudaDevice::free_bytes() const {
  std::size_t free = 0, total = 0;
  LAMINA_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return free;
}

void CudaDevice::synchronize() { LAMINA_CUDA_CHECK(cudaStreamSynchronize(stream())); }

std::string CudaDevice::describe() const {
  int driver = 0, runtime = 0;
  LAMINA_CUDA_CHECK(cudaDriverGetVersion(&driver));
  LAMINA_CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
  return fmt::format("{}, {} SMs, {} MB, CUDA {}.{}, driver for {}.{}, cuDNN {}",
                     properties_.name,
                     properties_.multiProcessorCount,
                     properties_.totalGlobalMem >> 20,
                     runtime / 1000,
                     runtime % 1000 / 10,
                     driver / 1000,
                     driver % 1000 / 10,
                     cudnnGetVersion());
}

CudnnTarget CudaDevice::cudnn_target() {
  int driver = 0;
  LAMINA_CUDA_CHECK(cudaDriverGetVersion(&driver));
  return {.handle = cudnn_.get(),
          .f32 = f32_,
          .device = fmt::format("{}, compute capability {}.{}, {} SMs, {} bytes, driver {}",
                                properties_.name,
                                properties_.major,
                                properties_.minor,
                                properties_.multiProcessorCount,
                                properties_.totalGlobalMem,
                                driver),
          .cache = &plans_,
          .timer = timer_.get()};
}

void CudaDevice::begin_range(std::string_view name, std::string_view pass) {
  nvtxRangePushA(fmt::format("{} {}", name, pass).c_str());
}
void CudaDevice::end_range() { nvtxRangePop(); }
void CudaDevice::begin_profile() { LAMINA_CUDA_CHECK(cudaProfilerStart()); }
void CudaDevice::end_profile() { LAMINA_CUDA_CHECK(cudaProfilerStop()); }

// With LAMINA_SYNC=1 launches run at once: nothing can be waited for while it is recorded.
void CudaDevice::begin_recording() {
  if (checks_launches_) return;
  LAMINA_CUDA_CHECK(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal));
}

std::unique_ptr<Recording> CudaDevice::end_recording() {
  if (checks_launches_) return nullptr;
  cudaGraph_t captured = nullptr;
  LAMINA_CUDA_CHECK(cudaStreamEndCapture(stream(), &captured));
  const Graph graph(captured);
  cudaGraphExec_t exec = nullptr;
  LAMINA_CUDA_CHECK(cudaGraphInstantiate(&exec, captured, 0));
  return std::make_unique<CudaRecording>(GraphExec(exec), stream());
}

std::unique_ptr<Device> make_device(const ContextOpts& opts) {
  return std::make_unique<CudaDevice>(opts);
}

CUstream_st* stream_of(Context& ctx) { return device_of(ctx).stream(); }
void* scratch_of(Context& ctx) { return device_of(ctx).scratch(); }
std::uint32_t* tickets_of(Context& ctx) { return device_of(ctx).tickets(); }
// A device that is only described (tests/cuda) has no handle.
cublasLtHandle_t cublaslt_of(Context& ctx) {
  auto* const device = dynamic_cast<CudaDevice*>(&ctx.device());
  return device != nullptr ? device->cublaslt() : nullptr;
}

void after_launch(Context& ctx, const char* name) {
  const auto check = [&](cudaError_t status, const char* what) {
    if (status == cudaSuccess) return;
    throw Error(
        ErrorKind::failure,
        fmt::format("kernel '{}' {}: {}; run with LAMINA_SYNC=1 to see where it began.",
                    name,
                    what,
                    cudaGetErrorString(status)),
        {name, __FILE__, __LINE__, "CUDA", static_cast<int>(status), cudaGetErrorName(status)});
  };
  check(cudaGetLastError(), "was refused");
  if (device_of(ctx).checks_launches()) check(cudaStreamSynchronize(stream_of(ctx)), "failed");
}

void cuda_failed(int status, const char* expression, const char* file, int line) {
  const auto error = static_cast<cudaError_t>(status);
  throw Error(ErrorKind::failure,
              fmt::format("CUDA failed: {}; run with LAMINA_SYNC=1 to see in which layer.",
                          cudaGetErrorString(error)),
              {expression, file, line, "CUDA", status, cudaGetErrorName(error)});
}

void cublas_failed(int status, const char* expression, const char* file, int line) {
  const char* const text = cublaslt_library().status_string(static_cast<cublasStatus_t>(status));
  throw Error(ErrorKind::failure,
              fmt::format("cuBLASLt failed: {}; update the driver or the CUDA toolkit.", text),
              {expression, file, line, "cuBLASLt", status, text});
}

}  // namespace lamina::cuda
