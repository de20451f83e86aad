// What a computation runs on: a backend, its memory and its library handles.
//
// A Context is built in main (or a test) by make_context() in kernels/context.h and passed first
// everywhere; there are no statics, so everything dies in scope order. Not thread-safe: one thread
// drives a context. Work is asynchronous on `cuda` and immediate on `ref` and `cpu`.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/core/tensor.h"

namespace lamina {

enum class BackendKind { ref, cpu, cuda };
std::string_view name_of(BackendKind kind);

// A list of launches that was recorded once and can be run again as a whole: a CUDA graph.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void replay() = 0;  // asynchronous
};

// What a backend brings: memory and, behind it, its handles. One subclass per kernels/<backend>/.
class Device {
 public:
  virtual ~Device() = default;
  virtual void* allocate(std::size_t bytes) = 0;  // 64-byte aligned at least; throws on no memory
  virtual void release(void* data) noexcept = 0;
  virtual void copy_in(void* device, const void* host, std::size_t bytes) = 0;
  virtual void copy_out(void* host, const void* device, std::size_t bytes) = 0;
  virtual void zero(void* device, std::size_t bytes) = 0;
  virtual void copy_on(void* to, const void* from, std::size_t bytes) = 0;  // both on the device
  virtual void synchronize() = 0;
  // How long what body() launches keeps the device busy: by its own clock where it has one.
  virtual double time_ms(const std::function<void()>& body);
  // What allocate() could still give; nullopt where that is the operating system's to say.
  virtual std::optional<std::size_t> free_bytes() const { return std::nullopt; }
  virtual std::string describe() const = 0;  // "Intel(R) Xeon(R), 2 threads, oneDNN 2.6.3"

  // Names what is launched until end_range(), for profilers: a layer and its pass. Ranges nest.
  virtual void begin_range(std::string_view, std::string_view) {}
  virtual void end_range() {}
  // What lies between the two is what a profiler that was told to wait looks at.
  virtual void begin_profile() {}
  virtual void end_profile() {}

  // Between the two, ops are listed and nothing runs; allocate, release, copies and synchronize are
  // errors. Null where a backend cannot record: what was called has run.
  virtual void begin_recording() {}
  virtual std::unique_ptr<Recording> end_recording() { return nullptr; }
};

// Device memory with an owner. Must not outlive its context.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Device& device, std::size_t bytes)
      : device_(&device), data_(device.allocate(bytes)), bytes_(bytes) {}
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer() {
    if (data_ != nullptr) device_->release(data_);
  }

  void* data() const { return data_; }
  std::byte* bytes_at(std::size_t offset) const { return static_cast<std::byte*>(data_) + offset; }
  std::size_t size() const { return bytes_; }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }
  Device* device_ = nullptr;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

// Copies between host and device since the context was made.
struct Transfers {
  std::int64_t in = 0, out = 0;
};

class Context {
 public:
  Context(BackendKind kind, int threads, std::unique_ptr<Device> device)
      : kind_(kind), threads_(threads), device_(std::move(device)) {}

  BackendKind backend() const { return kind_; }
  int threads() const { return threads_; }
  Device& device() const { return *device_; }

  Buffer allocate(std::size_t bytes) { return {*device_, bytes}; }
  void copy_in(void* device, const void* host, std::size_t bytes) {
    ++transfers_.in;
    device_->copy_in(device, host, bytes);
  }
  void copy_out(void* host, const void* device, std::size_t bytes) {
    ++transfers_.out;
    device_->copy_out(host, device, bytes);
  }
  const Transfers& transfers() const { return transfers_; }
  void zero(void* device, std::size_t bytes) { device_->zero(device, bytes); }

 private:
  BackendKind kind_;
  int threads_;
  std::unique_ptr<Device> device_;
  Transfers transfers_;
};

}  // namespace lamina
