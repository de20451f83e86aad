// The shared memory of the block that runs: pieces of one arena, with gaps between them that
// AddressSanitizer knows of. A static array for each would have no such gap inside a template.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace lamina::simt {

class SharedMemory {
 public:
  // For a kernel: nothing is declared yet.
  void begin_launch();
  // For a block: what the kernel declared up to now holds garbage again.
  void begin_block();
  // The piece of a declaration, the same for every thread. Null, with the reason, when CUDA would
  // not grant it.
  void* piece(const void* key, std::size_t bytes, std::size_t alignment, const char*& refusal);

 private:
  struct Piece {
    const void* key = nullptr;
    std::size_t offset = 0, bytes = 0;
  };
  void map();
  void fill(const Piece& piece);

  static constexpr int kMostPieces = 64;
  std::byte* arena_ = nullptr;
  Piece pieces_[kMostPieces];
  int count_ = 0;
  std::size_t end_ = 0, declared_ = 0;
};

}  // namespace lamina::simt
