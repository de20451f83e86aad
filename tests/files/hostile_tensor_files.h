// Files made to break a reader of safetensors, with a part of the message each must end in.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace lamina {

struct HostileFile {
  const char* name;
  std::string bytes;
  std::string message;
};
void PrintTo(const HostileFile& file, std::ostream* out);  // its name, for a failing case
using HostileFiles = std::vector<HostileFile>;

HostileFiles length_files();  // the 8 bytes of length and the size of the file
HostileFiles json_files();    // the header as text
HostileFiles field_files();   // its structure, names and fields
HostileFiles type_files();    // dtypes and shapes
HostileFiles offset_files();  // data_offsets against shape, each other and the data

// The length of the header, the header, and as many bytes of data.
std::string safetensors_bytes(std::string_view header, std::size_t data_bytes);

}  // namespace lamina
