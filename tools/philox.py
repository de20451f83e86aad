# The engine's random numbers in numpy: Philox4x32-10 exactly as engine/core/philox.h draws them.
#
# Element i of a stream is word i % 4 of block i / 4; a uniform number is its upper 24 bits / 2^24.
# SPDX-License-Identifier: Apache-2.0
import numpy

SHUFFLE_STREAM, SPLIT_STREAM = 0x01000000, 0x02000000  # stream::kShuffle, kSplit
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


def shuffled(seed, stream, items, epoch=0):
    """The items in the order of engine/data/split.h, shuffled_order()."""
    order = list(items)
    # One draw out of billions would be drawn again for evenness; no comparison meets it.
    for left, word in zip(range(len(order), 1, -1), bits(seed, stream, len(order), epoch)):
        other = int(word) * left >> 32
        order[left - 1], order[other] = order[other], order[left - 1]
    return order


def first_epoch(seed, count):
    """The order in which a run without a validation share takes its samples first."""
    split = shuffled(seed, SPLIT_STREAM, range(count))
    return shuffled(seed, SHUFFLE_STREAM, split)
