// Files made to break a reader: each must end in one sentence that names the file and the field.
// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <vector>

#include "engine/core/philox.h"
#include "engine/data/safetensors.h"
#include "tests/files/temp_folder.h"

namespace lamina {
namespace {

std::string length_bytes(std::uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += char(length >> (8 * i));
  return bytes;
}

std::string with_header(const std::string& header, std::size_t data_bytes) {
  return length_bytes(header.size()) + header + std::string(data_bytes, 'd');
}

std::string repeated(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

// One tensor 'x' whose fields are given as JSON.
std::string tensor_x(const std::string& dtype,
                     const std::string& shape,
                     const std::string& offsets) {
  return R"({"x":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

// Two u8 tensors of 4 bytes with the given offsets.
std::string pair_of(const std::string& a, const std::string& b) {
  return R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + a +
         R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}";
}

struct Case {
  const char* name;
  std::string bytes;
  std::string message;  // a part of it
};

void PrintTo(const Case& item, std::ostream* out) { *out << item.name; }

class HostileFile : public testing::TestWithParam<Case> {};

TEST_P(HostileFile, ends_in_one_sentence) {
  const TempFolder folder;
  put(folder / "bad.safetensors", GetParam().bytes);
  const std::string message = failure_of([&] { read_safetensors(folder / "bad.safetensors"); });
  expect_contains(message, "'" + (folder / "bad.safetensors").string() + "'");
  expect_contains(message, GetParam().message);
  EXPECT_LT(message.size(), 400u) << message;
}

const std::string kLongName(500, 'n');

const std::vector<Case> kLength = {
    {"empty", "", "no safetensors file: it has 0 bytes, fewer than the 8"},
    {"seven_bytes", "1234567", "it has 7 bytes, fewer than the 8"},
    {"header_longer_than_file",
     length_bytes(100) + "{}",
     "announce a header of 100 bytes, and the file has 10; save or download it again."},
    {"header_one_byte_too_long",
     length_bytes(3) + "{}",
     "a header of 3 bytes, and the file has 10"},
    {"header_over_the_limit", length_bytes(100'000'001) + "{}", "and 100 MB is the most"},
    {"header_length_of_all_ones",
     length_bytes(~0ull) + "{}",
     "header of 18446744073709551615 bytes"},
    {"header_length_overflows_with_8", length_bytes(~0ull - 7) + "{}", "and 100 MB is the most"},
    {"zip_archive", "PK\x03\x04\x14\x00\x00\x08 a PyTorch file", "no safetensors file"},
    {"header_of_no_bytes", length_bytes(0), "its header does not start with '{'"},
};

const std::vector<Case> kJson = {
    {"not_json", with_header("hello", 0), "its header does not start with '{'"},
    {"space_before_brace", with_header(" {}", 0), "its header does not start with '{'"},
    {"byte_order_mark", with_header("\xEF\xBB\xBF{}", 0), "its header does not start with '{'"},
    {"array", with_header("[]", 0), "its header does not start with '{'"},
    {"cut_off", with_header(R"({"x":{"dtype":"F32")", 0), "its header is not JSON at byte"},
    {"garbage_after", with_header("{} x", 0), "its header is not JSON at byte"},
    {"two_objects", with_header("{}{}", 0), "its header is not JSON at byte"},
    {"zero_bytes_as_padding", with_header(std::string("{}\0\0", 4), 0), "is not JSON at byte"},
    {"comment", with_header("{/* */}", 0), "its header is not JSON at byte"},
    {"bad_utf8", with_header("{\"\xFF\":1}", 0), "its header is not JSON at byte"},
    {"lone_surrogate", with_header(R"({"\ud800":1})", 0), "its header is not JSON at byte"},
    {"array_bomb", with_header(R"({"x":)" + repeated("[", 1'000'000), 0), "'x' is an array"},
    {"object_bomb", with_header(repeated(R"({"x":)", 1'000'000), 0), "unknown field 'x'"},
    {"shape_bomb",
     with_header(R"({"x":{"shape":)" + repeated("[", 1'000'000), 0),
     "shape of tensor 'x' holds an array"},
    {"metadata_bomb",
     with_header(R"({"__metadata__":)" + repeated(R"({"a":)", 1'000'000), 0),
     "metadata 'a' is an object, not a string"},
    {"huge_number", with_header(R"({"x":1e999999})", 0), "its header is not JSON at byte"},
};

const std::vector<Case> kFields = {
    {"tensor_is_number", with_header(R"({"x":3})", 0), "tensor 'x' is a number, not an object"},
    {"tensor_is_null", with_header(R"({"x":null})", 0), "tensor 'x' is null, not an object"},
    {"tensor_is_string", with_header(R"({"x":"y"})", 0), "tensor 'x' is a string, not an object"},
    {"tensor_is_true", with_header(R"({"x":true})", 0), "tensor 'x' is a truth value"},
    {"metadata_is_string",
     with_header(R"({"__metadata__":"x"})", 0),
     "__metadata__ is a string, not an object"},
    {"metadata_of_number",
     with_header(R"({"__metadata__":{"k":1}})", 0),
     "metadata 'k' is a number, not a string"},
    {"metadata_of_array",
     with_header(R"({"__metadata__":{"k":[]}})", 0),
     "metadata 'k' is an array"},
    {"metadata_twice",
     with_header(R"({"__metadata__":{},"__metadata__":{}})", 0),
     "its header names '__metadata__' twice"},
    {"metadata_key_twice",
     with_header(R"({"__metadata__":{"k":"1","k":"2"}})", 0),
     "its metadata names 'k' twice"},
    {"no_fields", with_header(R"({"x":{}})", 0), "tensor 'x' has no field 'dtype'"},
    {"no_shape",
     with_header(R"({"x":{"dtype":"U8","data_offsets":[0,0]}})", 0),
     "tensor 'x' has no field 'shape'"},
    {"no_offsets",
     with_header(R"({"x":{"dtype":"U8","shape":[0]}})", 0),
     "tensor 'x' has no field 'data_offsets'"},
    {"field_twice",
     with_header(R"({"x":{"dtype":"U8","dtype":"F32"}})", 0),
     "tensor 'x' has the field 'dtype' twice"},
    {"unknown_field",
     with_header(R"({"x":{"stride":[1]}})", 0),
     "tensor 'x' has an unknown field 'stride'"},
    {"name_twice",
     with_header(R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                 R"("x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                 2),
     "its header names 'x' twice"},
    {"name_twice_by_escape",
     with_header(R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                 R"("\u0078":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                 2),
     "its header names 'x' twice"},
    {"control_characters_in_name",
     with_header(R"({"\u001b[31m\n":3})", 0),
     "tensor '?[31m?' is a number"},
    {"long_name", with_header("{\"" + kLongName + "\":3}", 0), "nnn...' is a number"},
};

const std::vector<Case> kTypes = {
    {"dtype_i8", with_header(tensor_x(R"("I8")", "[1]", "[0,1]"), 1), "tensor 'x' with dtype 'I8'"},
    {"dtype_bool", with_header(tensor_x(R"("BOOL")", "[1]", "[0,1]"), 1), "convert it to F32, F64"},
    {"dtype_lower_case", with_header(tensor_x(R"("f32")", "[1]", "[0,4]"), 4), "dtype 'f32'"},
    {"dtype_number",
     with_header(tensor_x("5", "[1]", "[0,1]"), 1),
     "dtype of tensor 'x' is a number"},
    {"dtype_array",
     with_header(tensor_x("[]", "[1]", "[0,1]"), 1),
     "dtype of tensor 'x' is an array"},
    {"shape_number",
     with_header(tensor_x(R"("U8")", "1", "[0,1]"), 1),
     "shape of tensor 'x' is a number"},
    {"shape_string",
     with_header(tensor_x(R"("U8")", R"("1")", "[0,1]"), 1),
     "shape of tensor 'x' is a string, not an array"},
    {"shape_negative",
     with_header(tensor_x(R"("U8")", "[-1]", "[0,1]"), 1),
     "shape of tensor 'x' holds -1"},
    {"shape_two_negatives",
     with_header(tensor_x(R"("U8")", "[-2,-2]", "[0,4]"), 4),
     "shape of tensor 'x' holds -2, not a whole number from 0 up"},
    {"shape_fraction",
     with_header(tensor_x(R"("U8")", "[1.5]", "[0,1]"), 1),
     "shape of tensor 'x' holds 1.5"},
    {"shape_exponent",
     with_header(tensor_x(R"("U8")", "[1e0]", "[0,1]"), 1),
     "shape of tensor 'x' holds 1e0"},
    {"shape_of_strings",
     with_header(tensor_x(R"("U8")", R"(["1"])", "[0,1]"), 1),
     "shape of tensor 'x' holds a string"},
    {"shape_of_null",
     with_header(tensor_x(R"("U8")", "[null]", "[0,1]"), 1),
     "shape of tensor 'x' holds null"},
    {"shape_over_int64",
     with_header(tensor_x(R"("U8")", "[9223372036854775808]", "[0,1]"), 1),
     "holds 9223372036854775808, which is too large"},
    {"shape_over_uint64",
     with_header(tensor_x(R"("U8")", "[99999999999999999999999]", "[0,1]"), 1),
     "shape of tensor 'x' holds 99999999999999999999999"},
    {"shape_product_overflows",
     with_header(tensor_x(R"("U8")", "[4294967296,4294967296]", "[0,0]"), 0),
     "shape of tensor 'x' has more elements than memory can hold"},
    {"shape_product_wraps_to_4",
     with_header(tensor_x(R"("U8")", "[4,4611686018427387905]", "[0,4]"), 4),
     "more elements than memory can hold"},
    {"shape_overflow_hidden_by_zero",
     with_header(tensor_x(R"("U8")", "[4294967296,4294967296,0]", "[0,0]"), 0),
     "more elements than memory can hold"},
    {"bytes_overflow",
     with_header(tensor_x(R"("F64")", "[2305843009213693952]", "[0,0]"), 0),
     "more elements than memory can hold"},
    {"too_many_dimensions",
     with_header(tensor_x(R"("U8")", "[" + repeated("1,", 32) + "1]", "[0,1]"), 1),
     "shape of tensor 'x' has more than 32 dimensions"},
};

const std::vector<Case> kOffsets = {
    {"offsets_number",
     with_header(tensor_x(R"("U8")", "[1]", "1"), 1),
     "data_offsets of tensor 'x' is a number"},
    {"offsets_of_one",
     with_header(tensor_x(R"("U8")", "[1]", "[0]"), 1),
     "data_offsets of tensor 'x' has one value or none"},
    {"offsets_of_none",
     with_header(tensor_x(R"("U8")", "[1]", "[]"), 1),
     "has one value or none, not two"},
    {"offsets_of_three",
     with_header(tensor_x(R"("U8")", "[1]", "[0,1,2]"), 1),
     "data_offsets of tensor 'x' has more than two values"},
    {"offsets_negative",
     with_header(tensor_x(R"("U8")", "[1]", "[-1,0]"), 1),
     "data_offsets of tensor 'x' holds -1"},
    {"offsets_fraction",
     with_header(tensor_x(R"("U8")", "[1]", "[0,1.0]"), 1),
     "data_offsets of tensor 'x' holds 1.0"},
    {"offsets_backwards",
     with_header(tensor_x(R"("U8")", "[1]", "[1,0]"), 1),
     "data_offsets of tensor 'x' run backwards, from 1 to 0"},
    {"too_few_bytes_for_shape",
     with_header(tensor_x(R"("F32")", "[2,3]", "[0,23]"), 23),
     "data_offsets of tensor 'x' span 23 bytes, but its dtype and shape need 24"},
    {"too_many_bytes_for_shape",
     with_header(tensor_x(R"("F32")", "[2,3]", "[0,25]"), 25),
     "span 25 bytes, but its dtype and shape need 24"},
    {"bytes_for_empty_shape", with_header(tensor_x(R"("U8")", "[0]", "[0,4]"), 4), "need 0"},
    {"data_truncated",
     with_header(tensor_x(R"("F32")", "[2,3]", "[0,24]"), 23),
     "data_offsets of tensor 'x' end at byte 24, but 23 bytes of data are there"},
    {"data_missing",
     with_header(tensor_x(R"("F32")", "[2,3]", "[0,24]"), 0),
     "but 0 bytes of data are there"},
    {"terabytes_announced",
     with_header(tensor_x(R"("F32")", "[1099511627776]", "[0,4398046511104]"), 8),
     "end at byte 4398046511104, but 8 bytes"},
    {"offset_beyond_int64",
     with_header(tensor_x(R"("U8")", "[1]", "[18446744073709551614,18446744073709551615]"), 1),
     "end at byte 18446744073709551615, but 1 bytes"},
    {"overlap",
     with_header(pair_of("[0,4]", "[3,7]"), 7),
     "data_offsets of tensor 'b' start at byte 3, which overlaps the tensor that ends at 4"},
    {"same_bytes_twice",
     with_header(pair_of("[0,4]", "[0,4]"), 4),
     "start at byte 0, which overlaps"},
    {"hole",
     with_header(pair_of("[0,4]", "[5,9]"), 9),
     "data_offsets of tensor 'b' start at byte 5, which leaves a hole after 4"},
    {"hole_at_start",
     with_header(pair_of("[1,5]", "[5,9]"), 9),
     "tensor 'a' start at byte 1, which leaves a hole after 0"},
    {"bytes_at_end",
     with_header(pair_of("[0,4]", "[4,8]"), 10),
     "2 bytes follow the data of its last tensor"},
    {"bytes_without_tensors", with_header("{}", 1), "1 bytes follow the data"},
    {"empty_tensor_inside_another",
     with_header(R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                 R"("e":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
                 4),
     "tensor 'e' start at byte 2, which overlaps"},
};

std::string case_name(const testing::TestParamInfo<Case>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(length, HostileFile, testing::ValuesIn(kLength), case_name);
INSTANTIATE_TEST_SUITE_P(json, HostileFile, testing::ValuesIn(kJson), case_name);
INSTANTIATE_TEST_SUITE_P(fields, HostileFile, testing::ValuesIn(kFields), case_name);
INSTANTIATE_TEST_SUITE_P(types, HostileFile, testing::ValuesIn(kTypes), case_name);
INSTANTIATE_TEST_SUITE_P(offsets, HostileFile, testing::ValuesIn(kOffsets), case_name);

TEST(safetensors_reader, accepts_any_order_of_fields_and_data) {
  const TempFolder folder;
  put(folder / "a",
      with_header(R"({"late" : {"data_offsets": [4, 8], "shape": [2, 2], "dtype": "U8"},)"
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
