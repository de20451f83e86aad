// The pickle of a file of torch.save, as a list of tensors. For torch_file.cpp.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/core/dtype.h"

namespace lamina {

// A view of a storage, with everything in elements. It lies within the storage, and no two of its
// indices meet in one element.
struct TorchTensor {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape, strides;
  std::int64_t elements = 0;
  std::int64_t offset = 0;
  std::string storage;  // "0", the name of the entry that holds its bytes
  std::int64_t storage_elements = 0;
};

// Throws a failure that names `file` and the tensor unless the pickle is a state_dict of dense
// tensors, or a dict that holds one.
std::vector<TorchTensor> parse_torch_pickle(const std::string& file,
                                            std::span<const std::byte> bytes);

}  // namespace lamina
