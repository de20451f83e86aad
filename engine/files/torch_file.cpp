// SPDX-License-Identifier: Apache-2.0
#include "engine/files/torch_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "engine/files/damage.h"
#include "engine/files/posix_file.h"
#include "engine/files/torch_pickle.h"
#include "engine/files/zip_archive.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

// Tied weights share a storage. Without a bound, thousands of names for one large storage would
// make a small file fill the memory.
constexpr std::uint64_t kMostSharing = 16;

constexpr std::uint64_t kLongestPickle = std::uint64_t{16} << 20;

constexpr std::string_view kDescription = "data.pkl";

// "archive/", the folder that torch.save puts everything into.
std::string folder_of(const ZipArchive& archive) {
  std::optional<std::string> folder;
  for (const auto& [name, entry] : archive.entries()) {
    const std::size_t slash = name.find('/');
    if (slash == std::string::npos || name.substr(slash + 1) != kDescription) continue;
    if (folder) fail_damaged(archive.file(), "it has more than one {}", kDescription);
    folder = name.substr(0, slash + 1);
  }
  if (!folder) {
    fail(
        "'{}' is a zip archive, but not one of torch.save: it has no {}; save the weights with "
        "torch.save(model.state_dict(), path).",
        archive.file(),
        kDescription);
  }
  if (archive.find(*folder + "constants.pkl") != nullptr) {
    fail(
        "'{}' is a TorchScript program; save its weights alone: "
        "torch.save(torch.jit.load(path).state_dict(), other_path).",
        archive.file());
  }
  return *folder;
}

void check_byte_order(const ZipArchive& archive, const std::string& folder) {
  const std::string name = folder + "byteorder";
  if (archive.find(name) == nullptr) return;  // before PyTorch 2.1
  constexpr std::string_view kLittle = "little";
  const std::vector<std::byte> bytes = archive.read(name);
  if (bytes.size() != kLittle.size() ||
      std::memcmp(bytes.data(), kLittle.data(), kLittle.size()) != 0) {
    fail(
        "'{}' was saved on a machine with another byte order; save it again on one with "
        "little-endian numbers.",
        archive.file());
  }
}

bool is_dense(const TorchTensor& tensor) {
  std::int64_t stride = 1;
  for (std::size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != stride) return false;
    stride *= tensor.shape[i];
  }
  return true;
}

// Copies element by element in the order of the shape.
void gather(const TorchTensor& from, const std::vector<std::byte>& storage, HostTensor& to) {
  const std::size_t size = size_of(to.dtype);
  std::vector<std::int64_t> position(from.shape.size(), 0);
  std::int64_t at = from.offset;
  for (std::size_t done = 0; done < to.data.size(); done += size) {
    std::memcpy(&to.data[done], &storage[static_cast<std::size_t>(at) * size], size);
    for (std::size_t i = from.shape.size(); i-- > 0;) {
      at += from.strides[i];
      if (++position[i] < from.shape[i]) break;
      at -= from.strides[i] * from.shape[i];
      position[i] = 0;
    }
  }
}

// Storages, each read when its first tensor needs it and dropped behind its last.
class Storages {
 public:
  Storages(const ZipArchive& archive, std::string folder, const std::vector<TorchTensor>& tensors)
      : archive_(archive), folder_(std::move(folder)) {
    for (const TorchTensor& tensor : tensors) ++slots_[tensor.storage].users;
  }

  // The tensor's elements, dense, into `to`.
  void copy(const TorchTensor& tensor, HostTensor& to) {
    Slot& slot = slots_.at(tensor.storage);
    const std::size_t begin = static_cast<std::size_t>(tensor.offset) * size_of(tensor.dtype);
    if (!to.data.empty()) {
      if (slot.bytes.empty()) slot.bytes = archive_.read(entry_of(tensor));
      if (!is_dense(tensor))
        gather(tensor, slot.bytes, to);
      else
        std::memcpy(to.data.data(), &slot.bytes[begin], to.data.size());
    }
    if (--slot.users == 0) slots_.erase(tensor.storage);
  }

  std::string entry_of(const TorchTensor& tensor) const {
    return folder_ + "data/" + tensor.storage;
  }

 private:
  struct Slot {
    std::size_t users = 0;
    std::vector<std::byte> bytes;
  };
  const ZipArchive& archive_;
  std::string folder_;
  std::unordered_map<std::string, Slot> slots_;
};

void check_storages(const ZipArchive& archive,
                    const Storages& storages,
                    const std::vector<TorchTensor>& tensors) {
  std::uint64_t total = 0;
  for (const TorchTensor& tensor : tensors) {
    const ZipArchive::Entry* entry = archive.find(storages.entry_of(tensor));
    if (entry == nullptr) {
      fail_damaged(archive.file(),
                   "the data of tensor '{}' is missing (entry '{}')",
                   printable(tensor.name),
                   printable(storages.entry_of(tensor)));
    }
    const std::uint64_t size = size_of(tensor.dtype);
    if (entry->bytes % size != 0 ||
        entry->bytes / size != static_cast<std::uint64_t>(tensor.storage_elements)) {
      fail_damaged(archive.file(),
                   "the storage of tensor '{}' has {} bytes, not {} elements of {}",
                   printable(tensor.name),
                   entry->bytes,
                   tensor.storage_elements,
                   size);
    }
    // The tensor lies within its storage and so within the file: this cannot overflow.
    total += static_cast<std::uint64_t>(tensor.elements) * size;
    if (total > kMostSharing * archive.file_bytes()) {
      fail("'{}' uses its {} bytes more than {} times over; save each tensor once, with clone().",
           archive.file(),
           archive.file_bytes(),
           kMostSharing);
    }
  }
}

}  // namespace

TensorFile read_torch_file(const fs::path& path) {
  const ZipArchive archive(path);
  const std::string folder = folder_of(archive);
  check_byte_order(archive, folder);
  const std::string description = folder + std::string(kDescription);
  const std::uint64_t pickle_bytes = archive.find(description)->bytes;
  if (pickle_bytes > kLongestPickle) {
    fail("'{}' describes its tensors in {} bytes, and {} is the most; save the state_dict() alone.",
         archive.file(),
         pickle_bytes,
         kLongestPickle);
  }
  const std::vector<TorchTensor> tensors =
      parse_torch_pickle(archive.file(), archive.read(description));
  Storages storages(archive, folder, tensors);
  check_storages(archive, storages, tensors);

  TensorFile file;
  file.metadata["format"] = "pt";
  file.tensors.reserve(tensors.size());
  for (const TorchTensor& tensor : tensors) {
    file.tensors.push_back(make_host_tensor(tensor.name, tensor.dtype, tensor.shape));
    storages.copy(tensor, file.tensors.back());
  }
  return file;
}

TensorFile read_weights(const fs::path& path) {
  std::uint64_t file_bytes = 0;
  const Descriptor fd = open_regular_file(path, file_bytes);
  std::array<char, 9> start{};
  if (read_all(fd.get(), std::as_writable_bytes(std::span(start))) < 0)
    fail_errno("read", path, errno);
  const std::string_view text(start.data(), start.size());
  // The eight bytes could be the length of a safetensors header too; then its brace follows.
  if (text.starts_with("PK\x03\x04") && text.back() != '{') return read_torch_file(path);
  // A pickle, and not one in an archive: how torch.save wrote files before PyTorch 1.6.
  if (text.starts_with("\x80\x02") && text.back() != '{') {
    fail(
        "'{}' is in PyTorch's format from before 1.6; save it again with a newer PyTorch: "
        "torch.save(torch.load(path, map_location='cpu'), other_path).",
        path.string());
  }
  return read_safetensors(path);
}

}  // namespace lamina
