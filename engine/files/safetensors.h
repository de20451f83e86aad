// safetensors, the file format of weights that PyTorch users exchange.
//
// 8 bytes of little-endian header length, a JSON header that names each tensor's dtype, shape and
// byte range, then the data, without gaps. https://huggingface.co/docs/safetensors
// Reading trusts nothing in the file: whatever is wrong with it ends in one sentence that names the
// file and the field, before memory is taken for it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/dtype.h"

namespace lamina {

// A dense tensor in host memory, with its name in the file. Scalars have an empty shape.
struct HostTensor {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> data;

  std::int64_t numel() const;

  // The elements as T; throws when T is not the tensor's dtype.
  template <class T>
  std::span<const T> as() const {
    check_dtype(dtype_of<T>::value);
    return {reinterpret_cast<const T*>(data.data()), data.size() / sizeof(T)};
  }
  template <class T>
  std::span<T> as() {
    check_dtype(dtype_of<T>::value);
    return {reinterpret_cast<T*>(data.data()), data.size() / sizeof(T)};
  }

 private:
  void check_dtype(DType wanted) const;
};

// Zeros.
HostTensor make_host_tensor(std::string name, DType dtype, std::vector<std::int64_t> shape);

struct TensorFile {
  std::vector<HostTensor> tensors;  // in the order of the header
  std::map<std::string, std::string> metadata;

  const HostTensor* find(std::string_view name) const;  // null when absent
};

// The tensors whose names begin with `prefix`, without it.
TensorFile without_prefix(const TensorFile& file, std::string_view prefix);

// f32, f64, bf16, f16, u8, i32 and i64; other dtypes are an error that names the tensor.
TensorFile read_safetensors(const std::filesystem::path& path);

// Written atomically; equal contents give equal bytes. The header keeps the order of the tensors;
// the data goes by falling element size, so that every tensor is aligned in a mapped file.
void write_safetensors(const std::filesystem::path& path, const TensorFile& file);

}  // namespace lamina
