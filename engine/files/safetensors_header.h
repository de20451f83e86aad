// The JSON header of a safetensors file, to and from text. For safetensors.cpp.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/dtype.h"

namespace lamina {

struct TensorEntry {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;  // bytes, from the start of the data
};

struct TensorHeader {
  std::vector<TensorEntry> tensors;
  std::map<std::string, std::string> metadata;
};

// The product of the extents; false when it does not fit, even if one of them is zero.
bool count_elements(const std::vector<std::int64_t>& shape, std::int64_t& count);

// Throws a failure that names `file` and the field unless every tensor has a known dtype, a shape
// that fits its byte range, and the ranges cover `data_bytes` without gap or overlap.
TensorHeader parse_tensor_header(const std::string& file,
                                 std::string_view json,
                                 std::uint64_t data_bytes);

// Padded with spaces to a multiple of 8 bytes. Throws a request error for `file` when a name is not
// UTF-8, which JSON cannot hold.
std::string tensor_header_text(const std::string& file, const TensorHeader& header);

}  // namespace lamina
