// SPDX-License-Identifier: Apache-2.0
#include "engine/graph/model.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "engine/core/parallel.h"
#include "engine/graph/memory_plan.h"

namespace lamina {

namespace {

// Calls body(i, at) for every element, over the threads: i counts in the order of a state_dict, at
// is its position in memory, which for filters is K,R,S,C instead of K,C,R,S.
template <class Body>
void for_each_element(const Context& ctx, const ParamSpec& spec, const Body& body) {
  if (spec.r == 0) {
    constexpr std::int64_t kGrain = 16384;
    parallel_for(ctx, spec.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        body(static_cast<std::size_t>(i), static_cast<std::size_t>(i));
    });
    return;
  }
  const std::int64_t window = spec.r * spec.s, filter = window * spec.c;
  parallel_for(ctx, spec.numel() / filter, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k)
      for (std::int64_t c = 0; c < spec.c; ++c)
        for (std::int64_t rs = 0; rs < window; ++rs)
          body(static_cast<std::size_t>(k * filter + c * window + rs),
               static_cast<std::size_t>(k * filter + rs * spec.c + c));
  });
}

template <class T>
double number_of(T value) {
  if constexpr (std::is_same_v<T, bf16> || std::is_same_v<T, f16>)
    return static_cast<double>(to_float(value));
  else
    return static_cast<double>(value);
}

template <class T>
T from_number(double value) {
  return static_cast<T>(value);
}
template <>
bf16 from_number<bf16>(double value) {
  return to_bf16(static_cast<float>(value));
}
template <>
f16 from_number<f16>(double value) {
  return to_f16(static_cast<float>(value));
}

// Calls body(T{}) with the type of the elements.
template <class Body>
void visit_element(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::f32:
      return body(float{});
    case DType::f64:
      return body(double{});
    case DType::bf16:
      return body(bf16{});
    case DType::f16:
      return body(f16{});
    case DType::i32:
      return body(std::int32_t{});
    case DType::i64:
      return body(std::int64_t{});
    case DType::u8:
      return body(std::uint8_t{});
  }
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::int64_t extent : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

// "a, b, c and 4 more"
std::string list_text(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < 3; ++i) text += (i > 0 ? ", " : "") + names[i];
  if (names.size() > 3) text += fmt::format(" and {} more", names.size() - 3);
  return text;
}

}  // namespace

Model::Model(Context& ctx, Graph graph, DType dtype, std::optional<DType> compute, bool trains)
    : ctx_(&ctx), graph_(std::move(graph)), dtype_(dtype), compute_(compute.value_or(dtype)) {
  // Every tensor starts at a multiple of the alignment, in the narrowest of the slabs too.
  const auto slot = static_cast<std::int64_t>(kSlabAlignment / size_of(compute_));
  std::int64_t statistics = 0, counters = 0, vectors = 0, others = 0;
  for (const Node* node : graph_.in_state_dict_order()) {
    for (ParamSpec& spec : node->layer->params(graph_.input_shapes(*node, 1))) {
      std::int64_t& used = spec.kind == ParamSpec::Kind::buffer    ? statistics
                           : spec.kind == ParamSpec::Kind::counter ? counters
                           : spec.is_matrix()                      ? matrix_elements_
                           : spec.factor                           ? vectors
                                                                   : others;
      const std::int64_t elements = (spec.numel() + slot - 1) / slot * slot;
      std::string name = node->name + "." + spec.name;
      index_[name] = entries_.size();
      entries_.push_back({std::move(name), std::move(spec), used});
      used += elements;
    }
  }
  // In the slab the matrices come first, then the other factors, then the rest.
  factor_elements_ = matrix_elements_ + vectors;
  trained_elements_ = factor_elements_ + others;
  for (Entry& entry : entries_) {
    if (entry.spec.kind == ParamSpec::Kind::trained && !entry.spec.is_matrix())
      entry.offset += entry.spec.factor ? matrix_elements_ : factor_elements_;
  }
  const auto make = [&](std::int64_t elements, DType type) {
    const std::size_t bytes = static_cast<std::size_t>(elements) * size_of(type);
    Buffer buffer = ctx_->allocate(bytes);
    ctx_->zero(buffer.data(), bytes);
    return buffer;
  };
  weights_ = make(trained_elements_, dtype_);
  gradients_ = make(trains ? trained_elements_ - copied_elements() : 0, dtype_);
  statistics_ = make(statistics, dtype_);
  counters_ = make(counters, DType::i64);
  if (!is_mixed()) return;
  copies_ = make(factor_elements_, compute_);
  copy_gradients_ = make(trains ? factor_elements_ : 0, compute_);
}

Tensor Model::value(std::size_t entry) const {
  const Entry& e = entries_[entry];
  if (e.spec.kind == ParamSpec::Kind::counter) {
    return vector_view(
        counters_.bytes_at(static_cast<std::size_t>(e.offset) * 8), DType::i64, e.spec.numel());
  }
  const Buffer& slab = e.spec.kind == ParamSpec::Kind::trained ? weights_ : statistics_;
  return vector_view(
      slab.bytes_at(static_cast<std::size_t>(e.offset) * size_of(dtype_)), dtype_, e.spec.numel());
}

Tensor Model::operand(std::size_t entry) const {
  const Entry& e = entries_[entry];
  if (!has_copy(e)) return value(entry);
  return vector_view(copies_.bytes_at(static_cast<std::size_t>(e.offset) * size_of(compute_)),
                     compute_,
                     e.spec.numel());
}

Tensor Model::gradient(std::size_t entry) const {
  const Entry& e = entries_[entry];
  if (e.spec.kind != ParamSpec::Kind::trained) return {};
  if (has_copy(e)) {
    return vector_view(
        copy_gradients_.bytes_at(static_cast<std::size_t>(e.offset) * size_of(compute_)),
        compute_,
        e.spec.numel());
  }
  const std::int64_t offset = e.offset - copied_elements();
  return vector_view(gradients_.bytes_at(static_cast<std::size_t>(offset) * size_of(dtype_)),
                     dtype_,
                     e.spec.numel());
}

std::vector<Model::Stretch> Model::stretches(bool split) const {
  const auto part = [&](const Buffer& slab, DType dtype, std::int64_t first, std::int64_t count) {
    if (slab.data() == nullptr) return Tensor{};
    return vector_view(
        slab.bytes_at(static_cast<std::size_t>(first) * size_of(dtype)), dtype, count);
  };
  std::vector<std::int64_t> bounds{0, trained_elements_};
  if (split) bounds.push_back(matrix_elements_);
  if (split || is_mixed()) bounds.push_back(factor_elements_);
  std::sort(bounds.begin(), bounds.end());
  std::vector<Stretch> list;
  for (std::size_t i = 0; i + 1 < bounds.size(); ++i) {
    const std::int64_t first = bounds[i], count = bounds[i + 1] - first;
    if (count == 0) continue;
    const bool copied = is_mixed() && first < factor_elements_;
    list.push_back({first,
                    part(weights_, dtype_, first, count),
                    copied ? part(copy_gradients_, compute_, first, count)
                           : part(gradients_, dtype_, first - copied_elements(), count),
                    copied ? part(copies_, compute_, first, count) : Tensor{},
                    split && first < matrix_elements_});
  }
  return list;
}

Tensor Model::statistics() const {
  if (statistics_.size() == 0) return {};
  return vector_view(
      statistics_.data(), dtype_, static_cast<std::int64_t>(statistics_.size() / size_of(dtype_)));
}

void Model::copy_from(const Model& other) {
  const auto copy = [&](const Buffer& from, Buffer& to) {
    LAMINA_CHECK(from.size() == to.size(), "values can be copied between equal models only.");
    if (from.size() > 0) ctx_->device().copy_on(to.data(), from.data(), from.size());
  };
  copy(other.weights_, weights_);
  copy(other.statistics_, statistics_);
  copy(other.counters_, counters_);
  copy(other.copies_, copies_);
}

std::string Model::name_at(std::int64_t element) const {
  for (const Entry& e : entries_) {
    if (e.spec.kind == ParamSpec::Kind::trained && element >= e.offset &&
        element < e.offset + e.spec.numel())
      return e.name;
  }
  return "?";
}

Buffer Model::make_slab() const {
  Buffer slab = ctx_->allocate(weights_.size());
  ctx_->zero(slab.data(), slab.size());
  return slab;
}

std::int64_t Model::trained_count() const {
  std::int64_t count = 0;
  for (const Entry& e : entries_)
    count += e.spec.kind == ParamSpec::Kind::trained ? e.spec.numel() : 0;
  return count;
}

void Model::initialise(std::uint64_t seed) {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const ParamSpec& spec = entries_[i].spec;
    const bool counter = spec.kind == ParamSpec::Kind::counter;
    HostTensor host =
        make_host_tensor(entries_[i].name, counter ? DType::i64 : DType::f32, spec.shape);
    if (!counter)
      draw_values(*ctx_, spec.init, seed, static_cast<std::uint32_t>(i), host.as<float>());
    import_value(host, i);
  }
}

void Model::import_value(const HostTensor& from, std::size_t entry) {
  import_tensor(from, entries_[entry], value(entry));
  if (has_copy(entries_[entry])) import_tensor(from, entries_[entry], operand(entry));
}

HostTensor Model::export_tensor(const Entry& entry, const Tensor& from) const {
  HostTensor memory = make_host_tensor(entry.name, from.dtype, entry.spec.shape);
  ctx_->copy_out(memory.data.data(), from.data, from.bytes());
  if (entry.spec.r == 0) return memory;
  HostTensor host = make_host_tensor(entry.name, from.dtype, entry.spec.shape);
  visit_element(from.dtype, [&]<class T>(T) {
    const std::span<const T> values = std::as_const(memory).as<T>();
    const std::span<T> ordered = host.as<T>();
    for_each_element(
        *ctx_, entry.spec, [&](std::size_t i, std::size_t at) { ordered[i] = values[at]; });
  });
  return host;
}

void Model::import_tensor(const HostTensor& from, const Entry& entry, const Tensor& to) {
  if (entry.spec.r == 0 && from.dtype == to.dtype) {
    ctx_->copy_in(to.data, from.data.data(), to.bytes());
    return;
  }
  HostTensor memory = make_host_tensor(entry.name, to.dtype, entry.spec.shape);
  visit_element(from.dtype, [&]<class From>(From) {
    visit_element(to.dtype, [&]<class To>(To) {
      const std::span<const From> values = from.as<From>();
      const std::span<To> ordered = memory.as<To>();
      for_each_element(*ctx_, entry.spec, [&](std::size_t i, std::size_t at) {
        ordered[at] = from_number<To>(number_of(values[i]));
      });
    });
  });
  ctx_->copy_in(to.data, memory.data.data(), to.bytes());
}

TensorFile Model::state_dict() const {
  TensorFile file;
  for (std::size_t i = 0; i < entries_.size(); ++i)
    file.tensors.push_back(export_tensor(entries_[i], value(i)));
  return file;
}

TensorFile Model::gradient_dict() const {
  TensorFile file;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (gradient(i)) file.tensors.push_back(export_tensor(entries_[i], gradient(i)));
  }
  return file;
}

void Model::load_state_dict(const TensorFile& file, const std::string& origin) {
  std::vector<std::string> missing, extra;
  for (const Entry& entry : entries_) {
    const HostTensor* tensor = file.find(entry.name);
    if (tensor == nullptr) {
      missing.push_back(entry.name);
    } else if (tensor->shape != entry.spec.shape) {
      fail(
          "{}: tensor '{}' has shape {} but net {} needs {}; the file belongs to another net or "
          "class count.",
          origin,
          entry.name,
          shape_text(tensor->shape),
          graph_.title(),
          shape_text(entry.spec.shape));
    }
  }
  for (const HostTensor& tensor : file.tensors) {
    if (!index_.contains(tensor.name)) extra.push_back(tensor.name);
  }
  if (!missing.empty()) {
    fail(
        "{}: {} of the {} tensors of net {} are missing ({}); give a file saved from the same "
        "definition.",
        origin,
        missing.size(),
        entries_.size(),
        graph_.title(),
        list_text(missing));
  }
  if (!extra.empty()) {
    fail(
        "{}: holds {} tensors that net {} does not have ({}); give a file saved from the same "
        "definition.",
        origin,
        extra.size(),
        graph_.title(),
        list_text(extra));
  }
  for (std::size_t i = 0; i < entries_.size(); ++i) import_value(*file.find(entries_[i].name), i);
}

void Model::export_slab(const Buffer& slab, const std::string& prefix, TensorFile& file) const {
  for (const Entry& entry : entries_) {
    if (entry.spec.kind != ParamSpec::Kind::trained) continue;
    std::byte* at = slab.bytes_at(static_cast<std::size_t>(entry.offset) * size_of(dtype_));
    file.tensors.push_back(export_tensor(entry, vector_view(at, dtype_, entry.spec.numel())));
    file.tensors.back().name = prefix + entry.name;
  }
}

void Model::import_slab(const TensorFile& file,
                        const std::string& prefix,
                        const std::string& origin,
                        Buffer& slab) {
  for (const Entry& entry : entries_) {
    if (entry.spec.kind != ParamSpec::Kind::trained) continue;
    const HostTensor* tensor = file.find(prefix + entry.name);
    if (tensor == nullptr || tensor->shape != entry.spec.shape) {
      fail(
          "{}: tensor '{}{}' is missing or misshaped; the run was saved with another net or "
          "optimizer.",
          origin,
          prefix,
          entry.name);
    }
    std::byte* at = slab.bytes_at(static_cast<std::size_t>(entry.offset) * size_of(dtype_));
    import_tensor(*tensor, entry, vector_view(at, dtype_, entry.spec.numel()));
  }
}

}  // namespace lamina
