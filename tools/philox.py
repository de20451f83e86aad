# The engine's random numbers in numpy: Philox4x32-10 exactly as engine/core/philox.h draws them.
#
# Element i of a stream is word i % 4 of block i / 4; a uniform number is its upper 24 bits / 2^24.
# SPDX-License-Identifier: Apache-2.0
import numpy

TEST_STREAM = 0x06000000  # stream::kTest

_LOW = numpy.uint64(0xFFFFFFFF)
_HIGH = numpy.uint64(32)


def bits(seed, stream, count, step=0):
    """The first `count` 32-bit words of a stream."""
    blocks = numpy.arange((count + 3) // 4, dtype=numpy.uint64)
    c0, c1 = blocks & _LOW, blocks >> _HIGH
    c2 = numpy.full_like(blocks, step)
    c3 = numpy.full_like(blocks, stream)
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0 = numpy.uint64(0xD2511F53) * c0
        p1 = numpy.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = ((p1 >> _HIGH) ^ c1 ^ numpy.uint64(k0), p1 & _LOW,
                          (p0 >> _HIGH) ^ c3 ^ numpy.uint64(k1), p0 & _LOW)
        k0 = (k0 + 0x9E3779B9) & 0xFFFFFFFF
        k1 = (k1 + 0xBB67AE85) & 0xFFFFFFFF
    words = numpy.stack([c0, c1, c2, c3], axis=1).reshape(-1)[:count]
    return words.astype(numpy.uint32)


def uniform(seed, stream, count, step=0):
    """The first `count` numbers of a stream in [0, 1), as float64; exact in float32."""
    return (bits(seed, stream, count, step) >> 8).astype(numpy.float64) * 2.0**-24
