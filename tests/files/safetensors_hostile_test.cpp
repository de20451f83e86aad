// Files made to break a reader: each must end in one sentence that names the file and the field.
// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <vector>

#include "engine/core/philox.h"
#include "engine/files/safetensors.h"
#include "tests/files/hostile_tensor_files.h"
#include "tests/files/temp_folder.h"

namespace lamina {
namespace {

class Hostile : public testing::TestWithParam<HostileFile> {};

TEST_P(Hostile, ends_in_one_sentence) {
  const TempFolder folder;
  put(folder / "bad.safetensors", GetParam().bytes);
  const std::string message = failure_of([&] { read_safetensors(folder / "bad.safetensors"); });
  expect_contains(message, "'" + (folder / "bad.safetensors").string() + "'");
  expect_contains(message, GetParam().message);
  EXPECT_LT(message.size(), 400u) << message;
}

std::string file_name(const testing::TestParamInfo<HostileFile>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(length, Hostile, testing::ValuesIn(length_files()), file_name);
INSTANTIATE_TEST_SUITE_P(json, Hostile, testing::ValuesIn(json_files()), file_name);
INSTANTIATE_TEST_SUITE_P(field, Hostile, testing::ValuesIn(field_files()), file_name);
INSTANTIATE_TEST_SUITE_P(type, Hostile, testing::ValuesIn(type_files()), file_name);
INSTANTIATE_TEST_SUITE_P(offset, Hostile, testing::ValuesIn(offset_files()), file_name);

TEST(safetensors_reader, accepts_any_order_of_fields_and_data) {
  const TempFolder folder;
  put(folder / "a",
      safetensors_bytes(R"({"late" : {"data_offsets": [4, 8], "shape": [2, 2], "dtype": "U8"},)"
                        R"( "empty": {"shape": [0], "dtype": "F32", "data_offsets": [4, 4]},)"
                        R"( "early": {"shape": [], "dtype": "F32", "data_offsets": [0, 4]} }   )",
                        8));
  const TensorFile file = read_safetensors(folder / "a");
  ASSERT_EQ(file.tensors.size(), 3u);
  EXPECT_EQ(file.tensors[0].name, "late");
  EXPECT_EQ(file.tensors[0].shape, (std::vector<std::int64_t>{2, 2}));
  EXPECT_EQ(file.tensors[2].name, "early");
  EXPECT_TRUE(file.tensors[2].shape.empty());
}

TEST(safetensors_reader, names_what_is_no_file) {
  const TempFolder folder;
  expect_contains(failure_of([&] { read_safetensors(folder / "none"); }),
                  "none': No such file or directory; check the path.");
  expect_contains(failure_of([&] { read_safetensors(folder.path()); }), "Is a directory;");
  expect_contains(failure_of([] { read_safetensors("/dev/zero"); }), "it is no regular file");
}

// A file with holes takes no room on the disk, but is as long as its header says.
TEST(safetensors_reader, refuses_a_header_over_the_limit) {
  const TempFolder folder;
  std::string length = safetensors_bytes("", 0);
  const std::uint64_t header_bytes = 100'000'001;
  std::memcpy(length.data(), &header_bytes, 8);
  put(folder / "a", length);
  std::filesystem::resize_file(folder / "a", 8 + header_bytes);
  expect_contains(failure_of([&] { read_safetensors(folder / "a"); }),
                  "announce a header of 100000001 bytes, and 100 MB is the most;");
}

// Whatever happens to a byte, the reader returns or throws an Error; the sanitizers watch the rest.
TEST(safetensors_reader, survives_every_truncation_and_random_damage) {
  const TempFolder folder;
  TensorFile file;
  file.tensors.push_back(make_host_tensor("conv1.weight", DType::f32, {2, 3}));
  file.tensors.push_back(make_host_tensor("steps", DType::i64, {}));
  file.metadata["format"] = "pt";
  write_safetensors(folder / "a", file);
  const std::string whole = bytes_in(folder / "a");

  for (std::size_t size = 0; size < whole.size(); ++size) {
    put(folder / "b", whole.substr(0, size));
    failure_of([&] { read_safetensors(folder / "b"); });
  }
  int refused = 0;
  constexpr std::uint32_t kTries = 3000;
  for (std::uint32_t i = 0; i < kTries; ++i) {
    std::string damaged = whole;
    const Philox4 random = philox(1, stream::kTest, i, 0);
    damaged[random.v[0] % damaged.size()] = char(random.v[1]);
    if (i % 2 == 1) damaged[random.v[2] % damaged.size()] = char(random.v[3]);
    put(folder / "b", damaged);
    try {
      read_safetensors(folder / "b");
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, int(kTries) / 4);
}

}  // namespace
}  // namespace lamina
