// What host code of the cuda room shares: the stream, error checks, and memory that kernels may
// scribble on between two launches.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/core/context.h"

struct CUstream_st;  // cudaStream_t is a pointer to it

namespace lamina::cuda {

CUstream_st* stream_of(Context& ctx);

// Throws when the launch was refused; with LAMINA_SYNC=1 waits for the kernel and throws when it
// failed. The error names the kernel.
void after_launch(Context& ctx, const char* name);

// Partial results of one op. The same memory for every op: nothing in it outlives the op.
inline constexpr std::size_t kScratchBytes = std::size_t{16} << 20;
void* scratch_of(Context& ctx);

// Counters for last_block() (language.h). Zero between two launches.
inline constexpr std::size_t kTickets = 1024;
std::uint32_t* tickets_of(Context& ctx);

}  // namespace lamina::cuda
