// Weights as PyTorch saves them (.pth, .pt): the zip archive of torch.save, since PyTorch 1.6.
//
// The archive holds a pickle, which describes the tensors, and one entry of raw bytes a storage.
// The pickle is read as data and nothing in it is executed (see pickle.h); whatever is wrong with
// the file ends in one sentence that names it, before memory is taken for it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "engine/files/safetensors.h"

namespace lamina {

// The tensors of a state_dict, in its order: a dict of tensors or parameters, or a checkpoint that
// holds one as 'state_dict', 'model' or 'model_state_dict'. f32, f64, bf16, f16, u8, i32 and i64.
// Tensors may share a storage and have any strides that do not overlap; they come back dense.
TensorFile read_torch_file(const std::filesystem::path& path);

// Weights in either format; the first bytes of the file decide, not its name.
TensorFile read_weights(const std::filesystem::path& path);

}  // namespace lamina
