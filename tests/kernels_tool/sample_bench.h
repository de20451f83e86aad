// A small bench result with round numbers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tools/kernels/bench_file.h"

namespace lamina::kernel_bench {

inline BenchFile sample_bench() {
  BenchFile file{.date = "2024-05-01 10:00",
                 .machine = {{"device", "Fake A"},
                             {"backend", "cpu"},
                             {"threads", "2"},
                             {"driver", "555.42"},
                             {"onednn", "3.4"}},
                 .ceilings = {.copy_gbps = 25, .matmul_tflops = {{"f32", 0.2}}},
                 .yardstick_ms = {1, 1, 1.1, 1}};
  file.rows.push_back({.info = {.name = "conv2d/vgg16.features.0",
                                .op = "conv2d",
                                .pass = "forward",
                                .dtype = "f32",
                                .implementation = "oneDNN jit",
                                .bytes = 1e7,
                                .flops = 2e8},
                       .rounds = {{2, 2.1}, {1.9, 2}, {2, 2}, {2, 2.3}},
                       .peer = Peer{"onednn", {{2.5, 2.5}, {2.4, 2.6}}}});
  file.rows.push_back({.info = {.name = "a \"quoted\", name",
                                .op = "add",
                                .pass = "backward",
                                .dtype = "f32",
                                .implementation = "<native> & plain",
                                .bytes = 2e7},
                       .rounds = {{1}, {1}, {1}, {1}}});
  return file;
}

}  // namespace lamina::kernel_bench
