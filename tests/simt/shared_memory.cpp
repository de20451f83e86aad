// SPDX-License-Identifier: Apache-2.0
#include "tests/simt/shared_memory.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>

#include "tests/simt/sanitizers.h"

namespace lamina::simt {
namespace {

// What a block may declare in CUDA without asking for more; what the arena holds, with gaps.
constexpr std::size_t kSharedBytes = std::size_t{48} << 10, kArenaBytes = std::size_t{64} << 10;
constexpr std::size_t kGap = 128;

constexpr std::size_t round_up(std::size_t offset, std::size_t multiple) {
  return (offset + multiple - 1) / multiple * multiple;
}

}  // namespace

void SharedMemory::begin_launch() {
  if (arena_ == nullptr) map();
  poison(arena_, kArenaBytes);
  count_ = 0;
  end_ = kGap;
  declared_ = 0;
}

void SharedMemory::begin_block() {
  if (count_ == 0) return;
  // ThreadSanitizer forgets what a page saw when it is mapped again. Else the blocks, which it
  // takes for concurrent, would seem to race for memory that each has to itself.
  if (has_tsan()) map();
  for (int i = 0; i < count_; ++i) fill(pieces_[i]);
}

void* SharedMemory::piece(const void* key,
                          std::size_t bytes,
                          std::size_t alignment,
                          const char*& refusal) {
  for (int i = 0; i < count_; ++i)
    if (pieces_[i].key == key) return arena_ + pieces_[i].offset;
  const std::size_t offset = round_up(end_, alignment);
  declared_ += bytes;
  end_ = round_up(offset + bytes + kGap, 16);
  refusal = declared_ > kSharedBytes                      ? "more than 48 KB of shared memory"
            : count_ == kMostPieces || end_ > kArenaBytes ? "too many pieces of shared memory"
                                                          : nullptr;
  if (refusal != nullptr) return nullptr;
  pieces_[count_] = {key, offset, bytes};
  unpoison(arena_ + offset, bytes);
  fill(pieces_[count_++]);
  return arena_ + offset;
}

void SharedMemory::map() {
  const int again = arena_ != nullptr ? MAP_FIXED : 0;
  void* const memory =
      mmap(arena_, kArenaBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | again, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("simt: no memory to share");
    std::abort();
  }
  arena_ = static_cast<std::byte*>(memory);
}

// Not memset(): ThreadSanitizer would take it for the writing of the thread that runs.
void SharedMemory::fill(const Piece& piece) {
  volatile std::byte* const bytes = arena_ + piece.offset;
  for (std::size_t i = 0; i < piece.bytes; ++i) bytes[i] = std::byte{0xFF};
}

}  // namespace lamina::simt
