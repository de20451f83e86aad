// SPDX-License-Identifier: Apache-2.0
#include "tests/files/hostile_tensor_files.h"

#include <cstdint>
#include <ostream>

#include <fmt/core.h>

namespace lamina {
namespace {

std::string length_bytes(std::uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += char(length >> (8 * i));
  return bytes;
}

std::string repeated(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

void add_bytes(HostileFiles& files, const char* name, std::string_view bytes, const char* message) {
  files.push_back({name, std::string(bytes), message});
}

void add_header(HostileFiles& files,
                const char* name,
                std::string_view header,
                std::size_t data_bytes,
                const char* message) {
  add_bytes(files, name, safetensors_bytes(header, data_bytes), message);
}

// One tensor 'x' whose fields are given as JSON.
void add_x(HostileFiles& files,
           const char* name,
           std::string_view dtype,
           std::string_view shape,
           std::string_view offsets,
           std::size_t data_bytes,
           const char* message) {
  const std::string header =
      fmt::format(R"({{"x":{{"dtype":{},"shape":{},"data_offsets":{}}}}})", dtype, shape, offsets);
  add_header(files, name, header, data_bytes, message);
}

// Two u8 tensors of 4 bytes with the given offsets.
void add_pair(HostileFiles& files,
              const char* name,
              std::string_view a,
              std::string_view b,
              std::size_t data_bytes,
              const char* message) {
  const std::string header = fmt::format(R"({{"a":{{"dtype":"U8","shape":[4],"data_offsets":{}}},)"
                                         R"("b":{{"dtype":"U8","shape":[4],"data_offsets":{}}}}})",
                                         a,
                                         b);
  add_header(files, name, header, data_bytes, message);
}

}  // namespace

void PrintTo(const HostileFile& file, std::ostream* out) { *out << file.name; }

std::string safetensors_bytes(std::string_view header, std::size_t data_bytes) {
  return length_bytes(header.size()) + std::string(header) + std::string(data_bytes, 'd');
}

HostileFiles length_files() {
  HostileFiles files;
  add_bytes(files, "empty", "", "no safetensors file: it has 0 bytes, fewer than the 8");
  add_bytes(files, "seven_bytes", "1234567", "it has 7 bytes, fewer than the 8");
  add_bytes(files,
            "header_longer_than_file",
            length_bytes(100) + "{}",
            "announce a header of 100 bytes, and the file has 10; save or download it again.");
  add_bytes(files,
            "header_one_byte_too_long",
            length_bytes(3) + "{}",
            "a header of 3 bytes, and the file has 10");
  add_bytes(
      files, "header_over_the_limit", length_bytes(100'000'001) + "{}", "and 100 MB is the most");
  add_bytes(files,
            "header_length_of_all_ones",
            length_bytes(~0ull) + "{}",
            "header of 18446744073709551615 bytes");
  add_bytes(files,
            "header_length_overflows_with_8",
            length_bytes(~0ull - 7) + "{}",
            "and 100 MB is the most");
  add_bytes(files,
            "zip_archive",
            std::string("PK\x03\x04\x14\x00\x00\x08", 8) + " a PyTorch file",
            "or no safetensors file");
  add_bytes(files, "header_of_no_bytes", length_bytes(0), "its header does not start with '{'");
  return files;
}

HostileFiles json_files() {
  HostileFiles files;
  add_header(files, "not_json", "hello", 0, "its header does not start with '{'");
  add_header(files, "space_before_brace", " {}", 0, "its header does not start with '{'");
  add_header(files, "byte_order_mark", "\xEF\xBB\xBF{}", 0, "its header does not start with '{'");
  add_header(files, "array", "[]", 0, "its header does not start with '{'");
  add_header(files, "cut_off", R"({"x":{"dtype":"F32")", 0, "its header is not JSON at byte");
  add_header(files, "garbage_after", "{} x", 0, "its header is not JSON at byte");
  add_header(files, "two_objects", "{}{}", 0, "its header is not JSON at byte");
  add_header(files, "zero_bytes_as_padding", std::string("{}\0\0", 4), 0, "is not JSON at byte");
  add_header(files, "comment", "{/* */}", 0, "its header is not JSON at byte");
  add_header(files, "bad_utf8", "{\"\xFF\":1}", 0, "its header is not JSON at byte");
  add_header(files, "lone_surrogate", R"({"\ud800":1})", 0, "its header is not JSON at byte");
  add_header(files, "array_bomb", R"({"x":)" + repeated("[", 1'000'000), 0, "'x' is an array");
  add_header(files, "object_bomb", repeated(R"({"x":)", 1'000'000), 0, "unknown field 'x'");
  add_header(files,
             "shape_bomb",
             R"({"x":{"shape":)" + repeated("[", 1'000'000),
             0,
             "shape of tensor 'x' holds an array");
  add_header(files,
             "metadata_bomb",
             R"({"__metadata__":)" + repeated(R"({"a":)", 1'000'000),
             0,
             "metadata 'a' is an object, not a string");
  add_header(files, "huge_number", R"({"x":1e999999})", 0, "its header is not JSON at byte");
  return files;
}

HostileFiles field_files() {
  HostileFiles files;
  add_header(files, "tensor_is_number", R"({"x":3})", 0, "tensor 'x' is a number, not an object");
  add_header(files, "tensor_is_null", R"({"x":null})", 0, "tensor 'x' is null, not an object");
  add_header(files, "tensor_is_string", R"({"x":"y"})", 0, "tensor 'x' is a string, not an object");
  add_header(files, "tensor_is_true", R"({"x":true})", 0, "tensor 'x' is a truth value");
  add_header(files,
             "metadata_is_string",
             R"({"__metadata__":"x"})",
             0,
             "__metadata__ is a string, not an object");
  add_header(files,
             "metadata_of_number",
             R"({"__metadata__":{"k":1}})",
             0,
             "metadata 'k' is a number, not a string");
  add_header(
      files, "metadata_of_array", R"({"__metadata__":{"k":[]}})", 0, "metadata 'k' is an array");
  add_header(files,
             "metadata_twice",
             R"({"__metadata__":{},"__metadata__":{}})",
             0,
             "its header names '__metadata__' twice");
  add_header(files,
             "metadata_key_twice",
             R"({"__metadata__":{"k":"1","k":"2"}})",
             0,
             "its metadata names 'k' twice");
  add_header(files, "no_fields", R"({"x":{}})", 0, "tensor 'x' has no field 'dtype'");
  add_header(files,
             "no_shape",
             R"({"x":{"dtype":"U8","data_offsets":[0,0]}})",
             0,
             "tensor 'x' has no field 'shape'");
  add_header(files,
             "no_offsets",
             R"({"x":{"dtype":"U8","shape":[0]}})",
             0,
             "tensor 'x' has no field 'data_offsets'");
  add_header(files,
             "field_twice",
             R"({"x":{"dtype":"U8","dtype":"F32"}})",
             0,
             "tensor 'x' has the field 'dtype' twice");
  add_header(files,
             "unknown_field",
             R"({"x":{"stride":[1]}})",
             0,
             "tensor 'x' has an unknown field 'stride'");
  add_header(files,
             "name_twice",
             R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
             R"("x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
             2,
             "its header names 'x' twice");
  add_header(files,
             "name_twice_by_escape",
             R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
             R"("\u0078":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
             2,
             "its header names 'x' twice");
  add_header(files,
             "control_characters_in_name",
             R"({"\u001b[31m\n":3})",
             0,
             "tensor '?[31m?' is a number");
  add_header(files, "long_name", "{\"" + std::string(500, 'n') + "\":3}", 0, "nnn...' is a number");
  return files;
}

HostileFiles type_files() {
  HostileFiles files;
  add_x(files, "dtype_i8", R"("I8")", "[1]", "[0,1]", 1, "tensor 'x' with dtype 'I8'");
  add_x(files, "dtype_bool", R"("BOOL")", "[1]", "[0,1]", 1, "convert it to F32, F64");
  add_x(files, "dtype_lower_case", R"("f32")", "[1]", "[0,4]", 4, "dtype 'f32'");
  add_x(files, "dtype_number", "5", "[1]", "[0,1]", 1, "dtype of tensor 'x' is a number");
  add_x(files, "dtype_array", "[]", "[1]", "[0,1]", 1, "dtype of tensor 'x' is an array");
  add_x(files, "shape_number", R"("U8")", "1", "[0,1]", 1, "shape of tensor 'x' is a number");
  add_x(files,
        "shape_string",
        R"("U8")",
        R"("1")",
        "[0,1]",
        1,
        "shape of tensor 'x' is a string, not an array");
  add_x(files, "shape_negative", R"("U8")", "[-1]", "[0,1]", 1, "shape of tensor 'x' holds -1");
  add_x(files,
        "shape_two_negatives",
        R"("U8")",
        "[-2,-2]",
        "[0,4]",
        4,
        "shape of tensor 'x' holds -2, not a whole number from 0 up");
  add_x(files, "shape_fraction", R"("U8")", "[1.5]", "[0,1]", 1, "shape of tensor 'x' holds 1.5");
  add_x(files, "shape_exponent", R"("U8")", "[1e0]", "[0,1]", 1, "shape of tensor 'x' holds 1e0");
  add_x(files,
        "shape_of_strings",
        R"("U8")",
        R"(["1"])",
        "[0,1]",
        1,
        "shape of tensor 'x' holds a string");
  add_x(files, "shape_of_null", R"("U8")", "[null]", "[0,1]", 1, "shape of tensor 'x' holds null");
  add_x(files,
        "shape_over_int64",
        R"("U8")",
        "[9223372036854775808]",
        "[0,1]",
        1,
        "holds 9223372036854775808, which is too large");
  add_x(files,
        "shape_over_uint64",
        R"("U8")",
        "[99999999999999999999999]",
        "[0,1]",
        1,
        "shape of tensor 'x' holds 99999999999999999999999");
  add_x(files,
        "shape_product_overflows",
        R"("U8")",
        "[4294967296,4294967296]",
        "[0,0]",
        0,
        "shape of tensor 'x' has more elements than memory can hold");
  add_x(files,
        "shape_product_wraps_to_4",
        R"("U8")",
        "[4,4611686018427387905]",
        "[0,4]",
        4,
        "more elements than memory can hold");
  add_x(files,
        "shape_overflow_hidden_by_zero",
        R"("U8")",
        "[4294967296,4294967296,0]",
        "[0,0]",
        0,
        "more elements than memory can hold");
  add_x(files,
        "bytes_overflow",
        R"("F64")",
        "[2305843009213693952]",
        "[0,0]",
        0,
        "more elements than memory can hold");
  add_x(files,
        "too_many_dimensions",
        R"("U8")",
        "[" + repeated("1,", 32) + "1]",
        "[0,1]",
        1,
        "shape of tensor 'x' has more than 32 dimensions");
  return files;
}

HostileFiles offset_files() {
  HostileFiles files;
  add_x(
      files, "offsets_number", R"("U8")", "[1]", "1", 1, "data_offsets of tensor 'x' is a number");
  add_x(files,
        "offsets_of_one",
        R"("U8")",
        "[1]",
        "[0]",
        1,
        "data_offsets of tensor 'x' has one value or none");
  add_x(files, "offsets_of_none", R"("U8")", "[1]", "[]", 1, "has one value or none, not two");
  add_x(files,
        "offsets_of_three",
        R"("U8")",
        "[1]",
        "[0,1,2]",
        1,
        "data_offsets of tensor 'x' has more than two values");
  add_x(files,
        "offsets_negative",
        R"("U8")",
        "[1]",
        "[-1,0]",
        1,
        "data_offsets of tensor 'x' holds -1");
  add_x(files,
        "offsets_fraction",
        R"("U8")",
        "[1]",
        "[0,1.0]",
        1,
        "data_offsets of tensor 'x' holds 1.0");
  add_x(files,
        "offsets_backwards",
        R"("U8")",
        "[1]",
        "[1,0]",
        1,
        "data_offsets of tensor 'x' run backwards, from 1 to 0");
  add_x(files,
        "too_few_bytes_for_shape",
        R"("F32")",
        "[2,3]",
        "[0,23]",
        23,
        "data_offsets of tensor 'x' span 23 bytes, but its dtype and shape need 24");
  add_x(files,
        "too_many_bytes_for_shape",
        R"("F32")",
        "[2,3]",
        "[0,25]",
        25,
        "span 25 bytes, but its dtype and shape need 24");
  add_x(files, "bytes_for_empty_shape", R"("U8")", "[0]", "[0,4]", 4, "need 0");
  add_x(files,
        "data_truncated",
        R"("F32")",
        "[2,3]",
        "[0,24]",
        23,
        "data_offsets of tensor 'x' end at byte 24, but 23 bytes of data are there");
  add_x(files, "data_missing", R"("F32")", "[2,3]", "[0,24]", 0, "but 0 bytes of data are there");
  add_x(files,
        "terabytes_announced",
        R"("F32")",
        "[1099511627776]",
        "[0,4398046511104]",
        8,
        "end at byte 4398046511104, but 8 bytes");
  add_x(files,
        "offset_beyond_int64",
        R"("U8")",
        "[1]",
        "[18446744073709551614,18446744073709551615]",
        1,
        "end at byte 18446744073709551615, but 1 bytes");
  add_pair(files,
           "overlap",
           "[0,4]",
           "[3,7]",
           7,
           "data_offsets of tensor 'b' start at byte 3, which overlaps the tensor that ends at 4");
  add_pair(files, "same_bytes_twice", "[0,4]", "[0,4]", 4, "start at byte 0, which overlaps");
  add_pair(files,
           "hole",
           "[0,4]",
           "[5,9]",
           9,
           "data_offsets of tensor 'b' start at byte 5, which leaves a hole after 4");
  add_pair(files,
           "hole_at_start",
           "[1,5]",
           "[5,9]",
           9,
           "tensor 'a' start at byte 1, which leaves a hole after 0");
  add_pair(
      files, "bytes_at_end", "[0,4]", "[4,8]", 10, "2 bytes follow the data of its last tensor");
  add_header(files, "bytes_without_tensors", "{}", 1, "1 bytes follow the data");
  add_header(files,
             "empty_tensor_inside_another",
             R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
             R"("e":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
             4,
             "tensor 'e' start at byte 2, which overlaps");
  return files;
}

}  // namespace lamina
