// Starting a run from weights that another run, or PyTorch, has trained.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "engine/files/safetensors.h"
#include "engine/graph/model.h"

namespace lamina {

// Loads the weights into the model, whose parameters were initialised before. Where the file was
// trained for another number of classes, the last layer (and that of every auxiliary head) keeps
// the values it has; the text that is returned says so, and is empty when all came from the file.
// Every other difference is the error of load_state_dict. `origin` names the file in it.
std::string load_start_weights(Model& model, TensorFile file, const std::string& origin);

}  // namespace lamina
