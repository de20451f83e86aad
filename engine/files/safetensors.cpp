// SPDX-License-Identifier: Apache-2.0
#include "engine/files/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <unordered_set>

#include "engine/files/atomic_file.h"
#include "engine/files/posix_file.h"
#include "engine/files/safetensors_header.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kLongestHeader = 100'000'000;  // the format's own limit

std::string little_endian(std::uint64_t bytes) {
  std::string text(kLengthBytes, '\0');
  for (std::size_t i = 0; i < kLengthBytes; ++i) text[i] = static_cast<char>(bytes >> (8 * i));
  return text;
}

// Reads exactly these bytes; the size of the file was checked before, so fewer mean it shrank.
void read_exactly(int fd, std::span<std::byte> bytes, const fs::path& path) {
  const std::ptrdiff_t count = read_all(fd, bytes);
  if (count < 0) fail_errno("read", path, errno);
  if (static_cast<std::size_t>(count) != bytes.size()) {
    fail("'{}' became shorter while it was read; wait until its writer is done.", path.string());
  }
}

void check_writable(const fs::path& path, const TensorFile& file) {
  std::unordered_set<std::string_view> names;
  for (const HostTensor& tensor : file.tensors) {
    LAMINA_CHECK(tensor.name != "__metadata__" && names.insert(tensor.name).second,
                 "'{}' cannot hold the tensor '{}' twice or under a reserved name; rename it.",
                 path.string(),
                 tensor.name);
    const std::size_t bytes = static_cast<std::size_t>(tensor.numel()) * size_of(tensor.dtype);
    LAMINA_CHECK(bytes == tensor.data.size(),
                 "tensor '{}' for '{}' has {} bytes of data, but its shape needs {}.",
                 tensor.name,
                 path.string(),
                 tensor.data.size(),
                 bytes);
  }
}

}  // namespace

std::int64_t HostTensor::numel() const {
  std::int64_t count = 0;
  LAMINA_CHECK(count_elements(shape, count),
               "the shape of tensor '{}' has a negative extent or too many elements.",
               name);
  return count;
}

void HostTensor::check_dtype(DType wanted) const {
  LAMINA_CHECK(dtype == wanted,
               "tensor '{}' is {}, but it was read as {}.",
               name,
               name_of(dtype),
               name_of(wanted));
}

HostTensor make_host_tensor(std::string name, DType dtype, std::vector<std::int64_t> shape) {
  HostTensor tensor{std::move(name), dtype, std::move(shape), {}};
  tensor.data.resize(static_cast<std::size_t>(tensor.numel()) * size_of(dtype));
  return tensor;
}

const HostTensor* TensorFile::find(std::string_view name) const {
  const auto it = std::find_if(tensors.begin(), tensors.end(), [&](const HostTensor& tensor) {
    return tensor.name == name;
  });
  return it == tensors.end() ? nullptr : &*it;
}

TensorFile without_prefix(const TensorFile& file, std::string_view prefix) {
  TensorFile part;
  for (const HostTensor& tensor : file.tensors) {
    if (!tensor.name.starts_with(prefix)) continue;
    part.tensors.push_back(tensor);
    part.tensors.back().name.erase(0, prefix.size());
  }
  return part;
}

TensorFile read_safetensors(const fs::path& path) {
  std::uint64_t file_bytes = 0;
  const Descriptor fd = open_regular_file(path, file_bytes);
  if (file_bytes < kLengthBytes) {
    fail(
        "'{}' is no safetensors file: it has {} bytes, fewer than the 8 of the header's length; "
        "save or download it again.",
        path.string(),
        file_bytes);
  }
  std::array<std::byte, kLengthBytes> length_bytes{};
  read_exactly(fd.get(), length_bytes, path);
  const auto header_bytes = std::bit_cast<std::uint64_t>(length_bytes);
  if (header_bytes > kLongestHeader || header_bytes > file_bytes - kLengthBytes) {
    fail(
        "'{}' is truncated or no safetensors file: its first 8 bytes announce a header of {} "
        "bytes, {}; save or download it again.",
        path.string(),
        header_bytes,
        header_bytes > kLongestHeader ? std::string("and 100 MB is the most")
                                      : fmt::format("and the file has {}", file_bytes));
  }
  std::string json(static_cast<std::size_t>(header_bytes), '\0');
  read_exactly(fd.get(), std::as_writable_bytes(std::span(json)), path);
  const std::uint64_t data_begin = kLengthBytes + header_bytes;
  TensorHeader header = parse_tensor_header(path.string(), json, file_bytes - data_begin);

  TensorFile file;
  file.metadata = std::move(header.metadata);
  file.tensors.reserve(header.tensors.size());
  for (TensorEntry& entry : header.tensors) {
    file.tensors.push_back(
        make_host_tensor(std::move(entry.name), entry.dtype, std::move(entry.shape)));
    const auto at = static_cast<off_t>(data_begin + entry.begin);
    if (::lseek(fd.get(), at, SEEK_SET) < 0) fail_errno("read", path, errno);
    read_exactly(fd.get(), file.tensors.back().data, path);
  }
  return file;
}

void write_safetensors(const fs::path& path, const TensorFile& file) {
  check_writable(path, file);
  std::vector<std::size_t> order(file.tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return size_of(file.tensors[a].dtype) > size_of(file.tensors[b].dtype);
  });

  TensorHeader header;
  header.metadata = file.metadata;
  for (const HostTensor& tensor : file.tensors)
    header.tensors.push_back({tensor.name, tensor.dtype, tensor.shape, 0, 0});
  std::uint64_t at = 0;
  for (std::size_t i : order) {
    header.tensors[i].begin = at;
    at += file.tensors[i].data.size();
    header.tensors[i].end = at;
  }
  const std::string text = tensor_header_text(path.string(), header);
  LAMINA_CHECK(text.size() <= kLongestHeader,
               "'{}' would need a header of {} bytes, and safetensors allows 100 MB; write fewer "
               "tensors or less metadata.",
               path.string(),
               text.size());
  const std::string length = little_endian(text.size());
  std::vector<std::span<const std::byte>> pieces{std::as_bytes(std::span(length)),
                                                 std::as_bytes(std::span(text))};
  for (std::size_t i : order) pieces.emplace_back(file.tensors[i].data);
  write_file_atomically(path, pieces);
}

}  // namespace lamina
