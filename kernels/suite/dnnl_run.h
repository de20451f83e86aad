// One oneDNN primitive over the tensors of a call: what the peers of the suite are made of.
// Everything that a user would make once is made once: the primitive, its arguments, its
// scratchpad.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "kernels/cpu/device.h"
#include "kernels/suite/peers_dnnl.h"
#include "kernels/suite/problem.h"

namespace lamina::suite {

using DnnlArgs = std::unordered_map<int, dnnl::memory>;

// The memory of our feature maps.
inline dnnl::memory::desc nhwc(const Shape& s,
                               dnnl::memory::data_type dtype = dnnl::memory::data_type::f32) {
  return {{s.n, s.c, s.h, s.w}, dtype, dnnl::memory::format_tag::nhwc};
}

inline dnnl::memory::desc vector_of(std::int64_t size) {
  return {{size}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::x};
}

// The scratchpad is an argument: inside the primitive it would be shared between primitives.
inline dnnl::primitive_attr with_scratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

inline const dnnl::engine& engine_of(Call& call) { return cpu::device_of(call.ctx()).engine(); }

// The tensor of that name, whose memory stays where it is from run to run.
inline dnnl::memory memory_of(Call& call, const char* name, const dnnl::memory::desc& desc) {
  const Tensor tensor = call[name];
  LAMINA_CHECK(tensor, "a peer by oneDNN asks for tensor '{}', which the problem lacks.", name);
  return {desc, engine_of(call), tensor.data};
}

// Memory beside the problem's tensors.
inline dnnl::memory own_memory(Call& call, const dnnl::memory::desc& desc) {
  return {desc, engine_of(call)};
}

class DnnlRun {
 public:
  template <class Description>
  DnnlRun(Call& call,
          const dnnl::primitive& primitive,
          const Description& description,
          DnnlArgs args)
      : stream_(&cpu::device_of(call.ctx()).stream()),
        primitive_(primitive),
        args_(std::move(args)) {
    const auto scratchpad = description.scratchpad_desc();
    if (scratchpad.get_size() > 0) args_[DNNL_ARG_SCRATCHPAD] = own_memory(call, scratchpad);
  }

  void run() {
    primitive_.execute(*stream_, args_);
    stream_->wait();
  }

 private:
  dnnl::stream* stream_;
  dnnl::primitive primitive_;
  DnnlArgs args_;
};

// Sets the peer, which makes its run once: make(Call&) gives a unique_ptr<DnnlRun>.
template <class Make>
void set_dnnl_peer(Problem& problem, const Make& make) {
  if (problem.dtype != DType::f32) return;
  problem.peer_name = dnnl_name();
  problem.peer = [make, name = problem.name](Call& call) {
    cpu::dnnl_checked(name, [&] { call.keep([&] { return make(call); }).run(); });
  };
}

}  // namespace lamina::suite
