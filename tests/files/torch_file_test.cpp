// What PyTorch saved is read as it was; tests/fixtures/make_torch_files.py wrote the files.
// SPDX-License-Identifier: Apache-2.0
#include "engine/files/torch_file.h"

#include <vector>

#include "tests/files/temp_folder.h"
#include "tests/files/torch_archive.h"

namespace lamina {
namespace {

using Numbers = std::vector<double>;
using Extents = std::vector<std::int64_t>;

std::filesystem::path fixture(const std::string& name) {
  return std::filesystem::path(LAMINA_FIXTURES) / "torch" / (name + ".pth");
}

template <class T>
Numbers numbers_of(const HostTensor& tensor) {
  Numbers numbers;
  for (T value : tensor.as<T>()) numbers.push_back(static_cast<double>(value));
  return numbers;
}
Numbers numbers(const HostTensor& tensor) {
  Numbers list;
  switch (tensor.dtype) {
    case DType::f32:
      return numbers_of<float>(tensor);
    case DType::f64:
      return numbers_of<double>(tensor);
    case DType::i64:
      return numbers_of<std::int64_t>(tensor);
    case DType::i32:
      return numbers_of<std::int32_t>(tensor);
    case DType::u8:
      return numbers_of<std::uint8_t>(tensor);
    case DType::bf16:
      for (bf16 value : tensor.as<bf16>()) list.push_back(static_cast<double>(to_float(value)));
      return list;
    case DType::f16:
      for (f16 value : tensor.as<f16>()) list.push_back(static_cast<double>(to_float(value)));
      return list;
  }
  return list;
}

// first, first + 1, ...
Numbers counted(std::size_t count, double first) {
  Numbers list;
  for (std::size_t i = 0; i < count; ++i) list.push_back(first + static_cast<double>(i));
  return list;
}

void expect_tensor(const TensorFile& file,
                   std::size_t number,
                   const std::string& name,
                   const Extents& shape,
                   const Numbers& expected) {
  ASSERT_LT(number, file.tensors.size());
  const HostTensor& tensor = file.tensors[number];
  EXPECT_EQ(tensor.name, name);
  EXPECT_EQ(tensor.shape, shape) << name;
  EXPECT_EQ(numbers(tensor), expected) << name;
}

TEST(torch_file, reads_every_type) {
  const TensorFile file = read_torch_file(fixture("types"));
  const std::vector<std::pair<const char*, DType>> types{{"f32", DType::f32},
                                                         {"f64", DType::f64},
                                                         {"f16", DType::f16},
                                                         {"bf16", DType::bf16},
                                                         {"i64", DType::i64},
                                                         {"i32", DType::i32},
                                                         {"u8", DType::u8}};
  ASSERT_EQ(file.tensors.size(), types.size());
  for (std::size_t i = 0; i < types.size(); ++i) {
    EXPECT_EQ(file.tensors[i].dtype, types[i].second);
    expect_tensor(file, i, types[i].first, {2, 2}, counted(4, 10.0 * static_cast<double>(i)));
  }
}

TEST(torch_file, makes_every_view_dense) {
  const TensorFile file = read_torch_file(fixture("views"));
  ASSERT_EQ(file.tensors.size(), 7u);
  Numbers transposed, columns;
  for (int a = 0; a < 4; ++a) {
    for (int b = 0; b < 2; ++b) {
      for (int c = 0; c < 3; ++c) transposed.push_back(12 * b + 4 * c + a);
    }
  }
  for (int a = 0; a < 6; ++a) {
    for (int b = 0; b < 2; ++b) columns.push_back(4 * a + b + 1);
  }
  expect_tensor(file, 0, "whole", {2, 3, 4}, counted(24, 0));
  expect_tensor(file, 1, "transposed", {4, 2, 3}, transposed);
  expect_tensor(file, 2, "rows", {2, 4}, counted(8, 8));
  expect_tensor(file, 3, "columns", {6, 2}, columns);
  expect_tensor(file, 4, "tied", {2, 3, 4}, counted(24, 0));
  expect_tensor(file, 5, "scalar", {}, {5});
  expect_tensor(file, 6, "empty", {0, 3}, {});
}

TEST(torch_file, reads_the_state_dict_of_a_module) {
  const TensorFile file = read_torch_file(fixture("module"));
  ASSERT_EQ(file.tensors.size(), 7u);
  expect_tensor(file, 0, "0.weight", {2, 3}, counted(6, 0));
  expect_tensor(file, 5, "1.running_var", {2}, counted(2, 50));
  expect_tensor(file, 6, "1.num_batches_tracked", {}, {60});
  EXPECT_EQ(file.tensors[6].dtype, DType::i64);
}

TEST(torch_file, reads_parameters_and_nested_dicts) {
  const TensorFile file = read_torch_file(fixture("parameters"));
  ASSERT_EQ(file.tensors.size(), 2u);
  expect_tensor(file, 0, "w", {2, 3}, counted(6, 0));
  expect_tensor(file, 1, "frozen", {2}, counted(2, 10));
  for (const char* name : {"nested", "nested_model"}) {
    const TensorFile nested = read_torch_file(fixture(name));
    ASSERT_EQ(nested.tensors.size(), 1u) << name;
    expect_tensor(nested, 0, "w", {2, 3}, counted(6, 0));
  }
}

TEST(torch_file, reads_the_entries_of_newer_versions) {
  const TempFolder folder;
  std::vector<ZipEntry> entries = zip_entries(fixture("module"));
  for (ZipEntry& entry : entries) entry.name = "archive" + entry.name.substr(entry.name.find('/'));
  entries.push_back({"archive/.format_version", "1"});
  entries.push_back({"archive/.storage_alignment", "64"});
  entries.push_back({"archive/byteorder", "little"});
  write_zip(folder / "a", entries);
  const TensorFile file = read_torch_file(folder / "a");
  ASSERT_EQ(file.tensors.size(), 7u);
  expect_tensor(file, 0, "0.weight", {2, 3}, counted(6, 0));
  entries.back().bytes = "big";
  write_zip(folder / "b", entries);
  expect_contains(failure_of([&] { read_torch_file(folder / "b"); }), "another byte order");
}

TEST(torch_file, survives_as_safetensors) {
  const TempFolder folder;
  const TensorFile file = read_torch_file(fixture("module"));
  write_safetensors(folder / "a", file);
  const TensorFile back = read_weights(folder / "a");
  ASSERT_EQ(back.tensors.size(), file.tensors.size());
  for (std::size_t i = 0; i < file.tensors.size(); ++i) {
    EXPECT_EQ(back.tensors[i].name, file.tensors[i].name);
    EXPECT_EQ(back.tensors[i].dtype, file.tensors[i].dtype);
    EXPECT_EQ(back.tensors[i].shape, file.tensors[i].shape);
    EXPECT_EQ(back.tensors[i].data, file.tensors[i].data);
  }
}

// Headers of the lengths that other formats start with: the brace behind them tells.
TEST(torch_file, takes_safetensors_for_what_they_are) {
  const TempFolder folder;
  TensorFile file;
  file.tensors.push_back(make_host_tensor("x", DType::u8, {1}));
  file.metadata["note"] = std::string(0x280 - 80, ' ');
  write_safetensors(folder / "a", file);
  std::string bytes = bytes_in(folder / "a");
  const std::size_t header = bytes.size() - 9;
  ASSERT_LE(header, 0x280u);
  bytes.insert(8 + header, 0x280 - header, ' ');
  bytes.replace(0, 2, "\x80\x02");
  put(folder / "b", bytes);
  EXPECT_EQ(read_weights(folder / "b").tensors.size(), 1u);
}

TEST(torch_file, names_what_it_cannot_read) {
  const auto message = [](const std::string& name) {
    return failure_of([&] { read_weights(fixture(name)); });
  };
  expect_contains(message("legacy"), "format from before 1.6; save it again with a newer PyTorch");
  expect_contains(message("whole_net"), "asks for __main__.Net, which is no part of a state_dict");
  expect_contains(message("whole_net"), "torch.save(model.state_dict(), path)");
  expect_contains(message("hostile"), "asks for posix.system");
  expect_contains(message("bool"), "has tensor 'w' as BoolStorage; convert it to float");
  expect_contains(message("expanded"), "'w' as a view that reaches an element twice");
  expect_contains(message("not_a_dict"), "holds no dict of tensors");
  expect_contains(message("no_tensors"), "holds no tensors, neither by name nor as 'state_dict'");
  EXPECT_FALSE(std::filesystem::exists("unpickled"));
}

}  // namespace
}  // namespace lamina
