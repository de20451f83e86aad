// SPDX-License-Identifier: Apache-2.0
#include "kernels/suite/execute.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace lamina::suite {
namespace {

using Bytes = std::vector<std::byte>;

// The bytes of a slot's memory, and calls body(first byte of a pixel in it, in the dense tensor,
// bytes of the pixel).
std::size_t map_bytes(const Slot& slot, std::size_t size) {
  const std::int64_t row = slot.pitch != 0 ? slot.pitch : slot.shape.c;
  return static_cast<std::size_t>(slot.shape.numel() / slot.shape.c * row) * size;
}
template <class Body>
void for_each_pixel(const Slot& slot, std::size_t size, const Body& body) {
  const auto row = static_cast<std::size_t>(slot.pitch) * size;
  const auto pixel = static_cast<std::size_t>(slot.shape.c) * size;
  const auto pixels = static_cast<std::size_t>(slot.shape.numel() / slot.shape.c);
  for (std::size_t i = 0; i < pixels; ++i)
    body(i * row + static_cast<std::size_t>(slot.first) * size, i * pixel, pixel);
}

constexpr std::size_t kGuard = 256;  // canary bytes on either side; keeps 64-byte alignment

std::byte canary(std::size_t i) { return static_cast<std::byte>(0xC5 ^ (i * 37 & 0xFF)); }

template <class T>
T narrowed(double value) {
  if constexpr (std::is_same_v<T, bf16>)
    return to_bf16(static_cast<float>(value));
  else if constexpr (std::is_same_v<T, f16>)
    return to_f16(static_cast<float>(value));
  else
    return static_cast<T>(value);
}

double widened(bf16 value) { return to_float(value); }
double widened(f16 value) { return to_float(value); }
double widened(auto value) { return static_cast<double>(value); }

template <class T>
void encode(const Values& values, std::byte* to) {
  for (double value : values) {
    const T element = narrowed<T>(value);
    std::memcpy(to, &element, sizeof element);
    to += sizeof element;
  }
}

template <class T>
Values decode(const Bytes& bytes) {
  Values values(bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    T element;
    std::memcpy(&element, &bytes[i * sizeof element], sizeof element);
    values[i] = widened(element);
  }
  return values;
}

// Calls body(T{}) with the type of the dtypes that problems are made of.
template <class Body>
auto visit_stored(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::f32:
      return body(float{});
    case DType::f64:
      return body(double{});
    case DType::bf16:
      return body(bf16{});
    case DType::f16:
      return body(f16{});
    case DType::u8:
      return body(std::uint8_t{});
    case DType::i32:
      return body(std::int32_t{});
    case DType::i64:
      return body(std::int64_t{});
  }
  fail("the kernel tests do not store {}.", name_of(dtype));
}

// A tensor or workspace in the backend's memory, between canaries.
class Guarded {
 public:
  Guarded(Context& ctx, std::size_t bytes, std::size_t shift, unsigned char garbage)
      : offset_(kGuard + shift), bytes_(bytes), image_(offset_ + bytes + kGuard) {
    for (std::size_t i = 0; i < offset_; ++i) image_[i] = canary(i);
    for (std::size_t i = offset_ + bytes; i < image_.size(); ++i) image_[i] = canary(i);
    std::memset(payload(), garbage, bytes);
    buffer_ = ctx.allocate(image_.size());
  }
  std::byte* payload() { return image_.data() + offset_; }
  std::byte* device() const { return buffer_.bytes_at(offset_); }
  void upload(Context& ctx) { ctx.copy_in(buffer_.data(), image_.data(), image_.size()); }

  void forget() { Bytes().swap(image_); }

  // What the payload holds now; appends to `faults` what else has changed.
  Bytes download(Context& ctx,
                 const std::string& name,
                 bool read_only,
                 std::vector<std::string>& faults) {
    Bytes now(image_.size());
    ctx.copy_out(now.data(), buffer_.data(), now.size());
    const auto same = [&](std::size_t begin, std::size_t end) {
      return std::memcmp(&now[begin], &image_[begin], end - begin) == 0;
    };
    if (!same(0, offset_)) faults.push_back("wrote before the start of " + name);
    if (!same(offset_ + bytes_, now.size())) faults.push_back("wrote behind the end of " + name);
    if (read_only && !same(offset_, offset_ + bytes_)) faults.push_back("wrote to input " + name);
    if (read_only) return {};
    now.resize(offset_ + bytes_);
    now.erase(now.begin(), now.begin() + static_cast<std::ptrdiff_t>(offset_));
    return now;
  }

 private:
  std::size_t offset_, bytes_;
  Bytes image_;
  Buffer buffer_;
};

}  // namespace

class Instance::LiveCall final : public Call {
 public:
  LiveCall(Context& ctx, DType real, const Problem& problem, const CallOpts& opts)
      : ctx_(ctx), real_(real), problem_(problem), opts_(opts) {
    for (const Slot& slot : problem.slots) {
      const DType dtype = dtype_of_slot(slot);
      const std::string& owner = memory_of(slot.name);
      const bool existing = memory_.count(owner) > 0;
      const std::size_t bytes = map_bytes(slot, size_of(dtype));
      if (!existing) {
        const std::size_t shift = opts.shifted && !slot.aligned ? size_of(dtype) : 0;
        memory_.try_emplace(owner, ctx, bytes, shift, opts.garbage);
      }
      if (slot.role != Role::out) fill(slot, dtype);
    }
    for (auto& [name, memory] : memory_) {
      memory.upload(ctx_);
      if (opts.unwatched) memory.forget();
    }
  }

  Context& ctx() override { return ctx_; }
  DType dtype() const override { return real_; }
  StepState* state() const override {
    return static_cast<StepState*>(static_cast<void*>(memory_.at("state").device()));
  }
  Tensor operator[](const std::string& name) const override {
    for (const Slot& slot : problem_.slots) {
      if (slot.name != name) continue;
      const DType dtype = dtype_of_slot(slot);
      const std::size_t first = static_cast<std::size_t>(slot.first) * size_of(dtype);
      return {memory_.at(memory_of(name)).device() + first, dtype, slot.shape, slot.pitch};
    }
    return {};
  }
  void* workspace(std::size_t bytes) override {
    if (next_workspace_ == workspaces_.size()) {
      workspaces_.push_back(std::make_unique<Guarded>(ctx_, bytes, 0, opts_.garbage));
      workspaces_.back()->upload(ctx_);
    }
    return workspaces_[next_workspace_++]->device();
  }
  void begin() { next_workspace_ = 0; }

  Outcome finish() {
    ctx_.device().synchronize();
    Outcome outcome;
    for (const Slot& slot : problem_.slots) {
      const bool shared = opts_.in_place && is_shared_input(slot.name);
      Bytes bytes =
          memory_.at(memory_of(slot.name))
              .download(ctx_, slot.name, slot.role == Role::in && !shared, outcome.faults);
      if (slot.role == Role::in) continue;
      if (slot.pitch != 0) bytes = take_slice(slot, bytes, outcome.faults);
      if (!opts_.bytes_only)
        outcome.values[slot.name] =
            visit_stored(dtype_of_slot(slot), [&]<class T>(T) { return decode<T>(bytes); });
      outcome.bytes[slot.name] = std::move(bytes);
    }
    for (auto& workspace : workspaces_)
      workspace->download(ctx_, "the workspace", false, outcome.faults);
    return outcome;
  }

 protected:
  std::shared_ptr<void>& kept() override { return kept_; }

 private:
  DType dtype_of_slot(const Slot& slot) const { return stored_dtype(slot, real_); }

  // In place, an output lives in the memory of its input.
  const std::string& memory_of(const std::string& name) const {
    if (opts_.in_place) {
      for (const auto& [output, input] : problem_.in_place) {
        if (output == name) return input;
      }
    }
    return name;
  }
  bool is_shared_input(const std::string& name) const {
    return std::any_of(problem_.in_place.begin(), problem_.in_place.end(), [&](const auto& pair) {
      return pair.second == name;
    });
  }
  void fill(const Slot& slot, DType dtype) {
    LAMINA_CHECK(slot.values.size() == static_cast<std::size_t>(slot.shape.numel()),
                 "test case {}: tensor {} has {} values for shape {}.",
                 problem_.name,
                 slot.name,
                 slot.values.size(),
                 slot.shape.to_string());
    std::byte* const to = memory_.at(slot.name).payload();
    if (slot.pitch == 0) {
      visit_stored(dtype, [&]<class T>(T) { encode<T>(slot.values, to); });
      return;
    }
    Bytes dense(slot.values.size() * size_of(dtype));
    visit_stored(dtype, [&]<class T>(T) { encode<T>(slot.values, dense.data()); });
    for_each_pixel(slot, size_of(dtype), [&](std::size_t at, std::size_t from, std::size_t bytes) {
      std::memcpy(to + at, &dense[from], bytes);
    });
  }
  // The slot's channels of a map; the other channels must be what they were.
  Bytes take_slice(const Slot& slot, Bytes map, std::vector<std::string>& faults) {
    const std::size_t size = size_of(dtype_of_slot(slot));
    Bytes dense(static_cast<std::size_t>(slot.shape.numel()) * size);
    const std::byte* const before = memory_.at(slot.name).payload();
    for_each_pixel(slot, size, [&](std::size_t at, std::size_t to, std::size_t bytes) {
      std::memcpy(&dense[to], &map[at], bytes);
      std::memcpy(&map[at], before + at, bytes);
    });
    if (std::memcmp(map.data(), before, map.size()) != 0)
      faults.push_back("wrote beside the channels of " + slot.name);
    return dense;
  }

  Context& ctx_;
  DType real_;
  const Problem& problem_;
  CallOpts opts_;
  std::map<std::string, Guarded> memory_;
  std::vector<std::unique_ptr<Guarded>> workspaces_;
  std::size_t next_workspace_ = 0;
  std::shared_ptr<void> kept_;
};

Instance::Instance(Context& ctx, DType real, const Problem& problem, const CallOpts& opts)
    : call_(std::make_unique<LiveCall>(ctx, real, problem, opts)) {}
Instance::~Instance() = default;
Instance::Instance(Instance&&) noexcept = default;

void Instance::run(const std::function<void(Call&)>& body) {
  call_->begin();
  body(*call_);
}

Outcome Instance::finish() { return call_->finish(); }

Outcome execute(Context& ctx, DType real, const Problem& problem, const CallOpts& opts) {
  Instance instance(ctx, real, problem, opts);
  instance.run(problem.body);
  return instance.finish();
}

Outcome execute_ref(const Problem& problem) {
  Context ctx = make_context({.backend = BackendKind::ref, .threads = 1});
  return execute(ctx, DType::f64, problem);
}

}  // namespace lamina::suite
