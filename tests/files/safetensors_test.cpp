// SPDX-License-Identifier: Apache-2.0
#include "engine/files/safetensors.h"

#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/core.h>

#include "tests/files/temp_folder.h"

namespace lamina {
namespace {

constexpr DType kDtypes[] = {
    DType::f32, DType::f64, DType::bf16, DType::f16, DType::u8, DType::i32, DType::i64};

// Every dtype with every byte value, a scalar, an empty tensor, awkward names, metadata.
TensorFile sample() {
  TensorFile file;
  for (const DType dtype : kDtypes) {
    HostTensor tensor =
        make_host_tensor(fmt::format("{}.weight", name_of(dtype)), dtype, {3, 1, 5, 7});
    for (std::size_t i = 0; i < tensor.data.size(); ++i) tensor.data[i] = std::byte(i * 37 + 11);
    file.tensors.push_back(std::move(tensor));
  }
  HostTensor scalar = make_host_tensor("scalar", DType::i64, {});
  scalar.as<std::int64_t>()[0] = std::numeric_limits<std::int64_t>::min();
  file.tensors.push_back(std::move(scalar));
  file.tensors.push_back(make_host_tensor("empty", DType::f32, {4, 0, 2}));
  file.tensors.push_back(make_host_tensor("quote\" back\\slash \n \xC3\xA9", DType::u8, {1}));
  file.metadata = {{"format", "pt"}, {"note", "line\nbreak \"quoted\""}};
  return file;
}

TEST(safetensors, round_trips_every_dtype) {
  const TempFolder folder;
  const TensorFile before = sample();
  write_safetensors(folder / "a.safetensors", before);
  const TensorFile after = read_safetensors(folder / "a.safetensors");
  EXPECT_EQ(after.metadata, before.metadata);
  ASSERT_EQ(after.tensors.size(), before.tensors.size());
  for (std::size_t i = 0; i < before.tensors.size(); ++i) {
    EXPECT_EQ(after.tensors[i].name, before.tensors[i].name) << "the order changed";
    EXPECT_EQ(after.tensors[i].dtype, before.tensors[i].dtype);
    EXPECT_EQ(after.tensors[i].shape, before.tensors[i].shape);
    EXPECT_EQ(after.tensors[i].data, before.tensors[i].data) << before.tensors[i].name;
  }
}

TEST(safetensors, writes_the_documented_bytes) {
  const TempFolder folder;
  TensorFile file;
  file.tensors.push_back(make_host_tensor("b", DType::u8, {3}));
  file.tensors.push_back(make_host_tensor("a", DType::f32, {1, 2}));
  for (int i = 0; i < 3; ++i) file.tensors[0].as<std::uint8_t>()[i] = std::uint8_t(i + 1);
  file.tensors[1].as<float>()[0] = 1.0f;
  file.tensors[1].as<float>()[1] = -2.0f;
  file.metadata["k"] = "v";
  write_safetensors(folder / "a", file);
  // The header keeps the order; the floats come first in the data, aligned.
  std::string header =
      R"({"__metadata__":{"k":"v"},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]},)"
      R"("a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string expected(8, '\0');
  expected[0] = char(header.size());
  expected += header;
  expected += std::string("\x00\x00\x80\x3f\x00\x00\x00\xc0\x01\x02\x03", 11);
  EXPECT_EQ(bytes_in(folder / "a"), expected);
}

TEST(safetensors, writes_equal_bytes_for_equal_contents) {
  const TempFolder folder;
  write_safetensors(folder / "a", sample());
  write_safetensors(folder / "b", read_safetensors(folder / "a"));
  EXPECT_EQ(bytes_in(folder / "a"), bytes_in(folder / "b"));
  EXPECT_EQ(folder.count_files(), 2);
}

TEST(safetensors, aligns_the_header_and_every_tensor) {
  const TempFolder folder;
  write_safetensors(folder / "a", sample());
  const std::string bytes = bytes_in(folder / "a");
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  EXPECT_EQ(header % 8, 0u);
  const TensorFile file = read_safetensors(folder / "a");
  for (const HostTensor& tensor : file.tensors) {
    if (tensor.data.size() < 64) continue;
    const std::string_view data(reinterpret_cast<const char*>(tensor.data.data()),
                                tensor.data.size());
    const std::size_t at = bytes.find(data);
    ASSERT_NE(at, std::string::npos);
    EXPECT_EQ(at % size_of(tensor.dtype), 0u) << tensor.name;
  }
}

TEST(safetensors, holds_no_tensors_at_all) {
  const TempFolder folder;
  write_safetensors(folder / "a", {});
  EXPECT_EQ(bytes_in(folder / "a"), std::string("\x08\0\0\0\0\0\0\0{}      ", 16));
  EXPECT_TRUE(read_safetensors(folder / "a").tensors.empty());
}

TEST(safetensors, finds_tensors_by_name) {
  const TensorFile file = sample();
  ASSERT_NE(file.find("scalar"), nullptr);
  EXPECT_EQ(file.find("scalar")->numel(), 1);
  EXPECT_EQ(file.find("empty")->numel(), 0);
  EXPECT_EQ(file.find("none"), nullptr);
}

TEST(safetensors, checks_the_dtype_of_a_view) {
  HostTensor tensor = make_host_tensor("conv1.weight", DType::f32, {2, 3});
  EXPECT_EQ(tensor.as<float>().size(), 6u);
  EXPECT_EQ(request_error_of([&] { tensor.as<double>(); }),
            "tensor 'conv1.weight' is f32, but it was read as f64.");
  const HostTensor& constant = tensor;
  EXPECT_EQ(constant.as<float>().size(), 6u);
  EXPECT_EQ(request_error_of([&] { constant.as<std::uint8_t>(); }),
            "tensor 'conv1.weight' is f32, but it was read as u8.");
}

TEST(safetensors, makes_zeros_and_refuses_impossible_shapes) {
  for (const std::byte byte : make_host_tensor("x", DType::f64, {3, 3}).data)
    EXPECT_EQ(byte, std::byte{0});
  const std::int64_t huge = std::int64_t{1} << 40;
  for (const auto& shape :
       {std::vector<std::int64_t>{-1}, {huge, huge}, {0, huge, huge}, {huge, -1, 0}}) {
    expect_contains(request_error_of([&] { make_host_tensor("x", DType::f32, shape); }),
                    "the shape of tensor 'x' has a negative extent or too many elements");
  }
}

TEST(safetensors, refuses_to_write_what_no_reader_could_read) {
  const TempFolder folder;
  const auto message_for = [&](const TensorFile& file) {
    return request_error_of([&] { write_safetensors(folder / "a", file); });
  };
  const HostTensor x = make_host_tensor("x", DType::f32, {2});
  expect_contains(message_for({{x, x}, {}}), "cannot hold the tensor 'x' twice");
  expect_contains(message_for({{make_host_tensor("__metadata__", DType::u8, {1})}, {}}),
                  "cannot hold the tensor '__metadata__'");
  HostTensor lacking = x;
  lacking.data.pop_back();
  expect_contains(message_for({{lacking}, {}}), "'x' for '");
  expect_contains(message_for({{lacking}, {}}), "has 7 bytes of data, but its shape needs 8.");
  expect_contains(message_for({{make_host_tensor("\xFF", DType::u8, {1})}, {}}), "not UTF-8");
  expect_contains(message_for({{}, {{"k", "\xC3"}}}), "not UTF-8");
  EXPECT_EQ(folder.count_files(), 0);
}

TEST(safetensors, names_where_it_cannot_write) {
  const TempFolder folder;
  expect_contains(failure_of([&] { write_safetensors(folder / "none/a", sample()); }),
                  "none/a': No such file or directory; create its folder first.");
  const std::filesystem::path device = full_device(folder);
  if (device.empty()) GTEST_SKIP() << "no device that is always full can be made here";
  expect_contains(failure_of([&] { write_safetensors(device, sample()); }),
                  "cannot write '" + device.string() + "': No space left on device;");
}

}  // namespace
}  // namespace lamina
