// The header comes from strangers, so it is not turned into a tree first: a SAX handler accepts
// exactly the structure of the format, depth and duplicate keys included, and stops at the first
// thing that does not belong.
// SPDX-License-Identifier: Apache-2.0
#include "engine/files/safetensors_header.h"

#include <algorithm>
#include <array>
#include <limits>
#include <unordered_set>
#include <utility>

#include <nlohmann/json.hpp>

#include "engine/files/damage.h"

namespace lamina {
namespace {

using nlohmann::json;

constexpr std::string_view kMetadata = "__metadata__";
constexpr std::array<std::pair<std::string_view, DType>, 7> kDtypes{{{"F32", DType::f32},
                                                                     {"F64", DType::f64},
                                                                     {"BF16", DType::bf16},
                                                                     {"F16", DType::f16},
                                                                     {"U8", DType::u8},
                                                                     {"I32", DType::i32},
                                                                     {"I64", DType::i64}}};

// Where in the header the parser stands.
enum class Place { outside, top, metadata, tensor, shape, offsets };

class HeaderReader final : public nlohmann::json_sax<json> {
 public:
  explicit HeaderReader(const std::string& file) : file_(file) {}
  TensorHeader take() { return std::move(header_); }

  bool start_object(std::size_t) override {
    if (place_ == Place::outside) {
      place_ = Place::top;
    } else if (place_ == Place::top && key_ == kMetadata) {
      place_ = Place::metadata;
    } else if (place_ == Place::top) {
      place_ = Place::tensor;
      entry_ = TensorEntry{.name = key_, .shape = {}};
      seen_.clear();
    } else {
      refuse("an object");
    }
    return true;
  }

  bool key(std::string& name) override {
    if (place_ == Place::top) {
      if (!names_.insert(name).second) {
        fail_damaged(file_, "its header names '{}' twice", printable(name));
      }
    } else if (place_ == Place::tensor) {
      if (name != "dtype" && name != "shape" && name != "data_offsets") {
        fail_damaged(file_, "{} has an unknown field '{}'", tensor(), printable(name));
      }
      if (!seen_.insert(name).second) {
        fail_damaged(file_, "{} has the field '{}' twice", tensor(), name);
      }
    } else if (header_.metadata.count(name) != 0) {
      fail_damaged(file_, "its metadata names '{}' twice", printable(name));
    }
    key_ = name;
    return true;
  }

  bool end_object() override {
    if (place_ == Place::tensor) finish_tensor();
    place_ = place_ == Place::top ? Place::outside : Place::top;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::tensor && key_ == "shape") {
      place_ = Place::shape;
    } else if (place_ == Place::tensor && key_ == "data_offsets") {
      place_ = Place::offsets;
      offsets_.clear();
    } else {
      refuse("an array");
    }
    return true;
  }

  bool end_array() override {
    if (place_ == Place::offsets) {
      if (offsets_.size() != 2) {
        fail_damaged(file_, "data_offsets of {} has one value or none, not two", tensor());
      }
      entry_.begin = offsets_[0];
      entry_.end = offsets_[1];
    }
    place_ = Place::tensor;
    return true;
  }

  bool string(std::string& text) override {
    if (place_ == Place::metadata) {
      header_.metadata.emplace(key_, text);
    } else if (place_ == Place::tensor && key_ == "dtype") {
      entry_.dtype = dtype_named(text);
    } else {
      refuse("a string");
    }
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::shape) {
      if (entry_.shape.size() == kMostDims) {
        fail_damaged(file_, "shape of {} has more than {} dimensions", tensor(), kMostDims);
      }
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        fail_damaged(file_, "shape of {} holds {}, which is too large", tensor(), value);
      }
      entry_.shape.push_back(static_cast<std::int64_t>(value));
    } else if (place_ == Place::offsets) {
      if (offsets_.size() == 2) {
        fail_damaged(file_, "data_offsets of {} has more than two values", tensor());
      }
      offsets_.push_back(value);
    } else {
      refuse("a number");
    }
    return true;
  }

  bool number_integer(number_integer_t value) override {
    return refuse(in_array() ? fmt::format("{}", value) : "a number");
  }
  bool number_float(number_float_t, const string_t& text) override {
    return refuse(in_array() ? printable(text) : "a number");
  }
  bool null() override { return refuse("null"); }
  bool boolean(bool) override { return refuse("a truth value"); }
  bool binary(json::binary_t&) override { return refuse("binary data"); }

  bool parse_error(std::size_t position, const std::string&, const json::exception&) override {
    fail_damaged(file_, "its header is not JSON at byte {}", position);
  }

 private:
  std::string tensor() const { return fmt::format("tensor '{}'", printable(entry_.name)); }
  bool in_array() const { return place_ == Place::shape || place_ == Place::offsets; }

  // Says what should stand where `found` stands.
  [[noreturn]] bool refuse(const std::string& found) const {
    switch (place_) {
      case Place::outside:
        fail_damaged(file_, "its header is {}, not an object", found);
      case Place::top:
        if (key_ == kMetadata) fail_damaged(file_, "{} is {}, not an object", kMetadata, found);
        fail_damaged(file_, "tensor '{}' is {}, not an object", printable(key_), found);
      case Place::metadata:
        fail_damaged(file_, "metadata '{}' is {}, not a string", printable(key_), found);
      case Place::tensor:
        fail_damaged(file_,
                     "{} of {} is {}, not {}",
                     key_,
                     tensor(),
                     found,
                     key_ == "dtype" ? "a string" : "an array");
      case Place::shape:
      case Place::offsets:
        break;
    }
    fail_damaged(file_, "{} of {} holds {}, not a whole number from 0 up", key_, tensor(), found);
  }

  DType dtype_named(const std::string& name) const {
    const auto it = std::find_if(
        kDtypes.begin(), kDtypes.end(), [&](const auto& known) { return known.first == name; });
    if (it != kDtypes.end()) return it->second;
    fail("'{}' has {} with dtype '{}'; convert it to F32, F64, BF16, F16, U8, I32 or I64.",
         file_,
         tensor(),
         printable(name));
  }

  void finish_tensor() {
    for (const char* field : {"dtype", "shape", "data_offsets"}) {
      if (seen_.count(field) == 0) fail_damaged(file_, "{} has no field '{}'", tensor(), field);
    }
    if (entry_.end < entry_.begin) {
      fail_damaged(file_,
                   "data_offsets of {} run backwards, from {} to {}",
                   tensor(),
                   entry_.begin,
                   entry_.end);
    }
    std::int64_t count = 0, bytes = 0;
    const auto size = static_cast<std::int64_t>(size_of(entry_.dtype));
    if (!count_elements(entry_.shape, count) || __builtin_mul_overflow(count, size, &bytes)) {
      fail_damaged(file_, "shape of {} has more elements than memory can hold", tensor());
    }
    if (entry_.end - entry_.begin != static_cast<std::uint64_t>(bytes)) {
      fail_damaged(file_,
                   "data_offsets of {} span {} bytes, but its dtype and shape need {}",
                   tensor(),
                   entry_.end - entry_.begin,
                   bytes);
    }
    header_.tensors.push_back(std::move(entry_));
  }

  const std::string& file_;
  TensorHeader header_;
  Place place_ = Place::outside;
  std::string key_;
  std::unordered_set<std::string> names_, seen_;
  TensorEntry entry_;
  std::vector<std::uint64_t> offsets_;
};

// The ranges, in the order of the data, must meet end to end and fill the file.
void check_layout(const std::string& file, const TensorHeader& header, std::uint64_t data_bytes) {
  std::vector<const TensorEntry*> order;
  for (const TensorEntry& entry : header.tensors) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const TensorEntry* a, const TensorEntry* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  std::uint64_t at = 0;
  for (const TensorEntry* entry : order) {
    if (entry->end > data_bytes) {
      fail_damaged(file,
                   "data_offsets of tensor '{}' end at byte {}, but {} bytes of data are there",
                   printable(entry->name),
                   entry->end,
                   data_bytes);
    }
    if (entry->begin != at) {
      fail_damaged(file,
                   "data_offsets of tensor '{}' start at byte {}, which {} {}",
                   printable(entry->name),
                   entry->begin,
                   entry->begin < at ? "overlaps the tensor that ends at" : "leaves a hole after",
                   at);
    }
    at = entry->end;
  }
  if (at != data_bytes) {
    fail_damaged(file, "{} bytes follow the data of its last tensor", data_bytes - at);
  }
}

}  // namespace

bool count_elements(const std::vector<std::int64_t>& shape, std::int64_t& count) {
  std::int64_t nonzero = 1;
  bool empty = false;
  for (std::int64_t extent : shape) {
    if (extent == 0) empty = true;
    if (extent < 0 || __builtin_mul_overflow(nonzero, std::max<std::int64_t>(extent, 1), &nonzero))
      return false;
  }
  count = empty ? 0 : nonzero;
  return true;
}

TensorHeader parse_tensor_header(const std::string& file,
                                 std::string_view json_text,
                                 std::uint64_t data_bytes) {
  // The format wants the brace first; JSON alone would allow white space.
  if (json_text.empty() || json_text.front() != '{') {
    fail_damaged(file, "its header does not start with '{{'");
  }
  // The parser would take a zero byte for the end of the text.
  const std::size_t zero = json_text.find('\0');
  if (zero != std::string_view::npos) {
    fail_damaged(file, "its header is not JSON at byte {}", zero + 1);
  }
  HeaderReader reader(file);
  json::sax_parse(json_text.begin(), json_text.end(), &reader);
  TensorHeader header = reader.take();
  check_layout(file, header, data_bytes);
  return header;
}

std::string tensor_header_text(const std::string& file, const TensorHeader& header) {
  nlohmann::ordered_json root = nlohmann::ordered_json::object();
  if (!header.metadata.empty()) root[std::string(kMetadata)] = header.metadata;
  for (const TensorEntry& entry : header.tensors) {
    const auto dtype = std::find_if(
        kDtypes.begin(), kDtypes.end(), [&](const auto& d) { return d.second == entry.dtype; });
    nlohmann::ordered_json& fields = root[entry.name];
    fields["dtype"] = dtype->first;
    fields["shape"] = entry.shape;
    fields["data_offsets"] = {entry.begin, entry.end};
  }
  std::string text;
  try {
    text = root.dump();
  } catch (const json::type_error&) {
    fail_request("'{}' cannot hold a tensor name or metadata that is not UTF-8; rename it.", file);
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace lamina
