// The scheduler. Like the files beside it that it calls, it is compiled without ThreadSanitizer:
// what it does to its own data is no race, and its switches would confuse the record of calls. Nor
// does it call functions of the C library on such data; ThreadSanitizer watches those.
// SPDX-License-Identifier: Apache-2.0
#include "tests/simt/simt.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "tests/simt/fiber.h"
#include "tests/simt/sanitizers.h"
#include "tests/simt/shared_memory.h"
#include "tests/simt/turns.h"

lamina::simt::Dim threadIdx, blockIdx, blockDim, gridDim;

namespace lamina::simt {
namespace {

constexpr int kWarp = 32, kMostWarps = kMostThreads / kWarp;

enum class State : unsigned char { runs, at_barrier, at_shuffle, left };

struct Thread {
  State state = State::runs;
  bool released = false;
  int mask = 0;
  unsigned shuffles = 0, barriers = 0;
  Fiber* fiber = nullptr;  // where it waits
  void* tsan = nullptr;
  Site site;
};

// All there is of a launch. It lives for the program: the fibers and their stacks are used again.
struct Machine {
  const Launch* launch = nullptr;
  int count = 0, next = 0, left = 0, waiting = 0;  // threads; waiting: at the barrier
  int shuffling[kMostWarps] = {};
  int held = 0;  // threads that could go on, and have yet to get their turn
  int running = 0;
  Thread threads[kMostThreads];
  int turns[kMostThreads] = {};  // who is first, second, ...
  // Words under way between lanes. Two sets take turns: a lane may give the next while another has
  // yet to get the last.
  std::uint64_t words[kMostWarps][2][kWarp][kMostWords] = {};

  Fiber fibers[kMostThreads];
  Fiber* idle[kMostThreads] = {};
  int idle_count = 0;
  bool ready = false;

  SharedMemory shared;
  Turns order;

  // What ThreadSanitizer takes for the order of things: the start of a launch, its end, and two
  // barriers that take turns, since threads may reach the next before the last has left this one.
  void* tsan_host = nullptr;
  char start = 0, end = 0, barriers[2] = {};
};
Machine m;

void print_place() {
  std::fprintf(stderr,
               "simt: kernel %s, block (%u, %u, %u)",
               m.launch->name.c_str(),
               blockIdx.x,
               blockIdx.y,
               blockIdx.z);
}

void say_where() {
  if (Fiber::running() == nullptr) return;
  print_place();
  std::fprintf(stderr, ", thread %d\n", m.running);
}

[[noreturn]] void die(const char* what) {
  print_place();
  std::fprintf(stderr, ", thread %d: %s\n", m.running, what);
  std::abort();
}

bool same_wait(const Thread& a, const Thread& b) {
  if (a.state != b.state) return false;
  if (a.state == State::left) return true;
  if (a.mask != b.mask || a.site.line() != b.site.line() || a.site.column() != b.site.column())
    return false;
  const char* const file = a.site.file_name();
  return file == b.site.file_name() ||
         std::strcmp(file, b.site.file_name()) == 0;  // mostly the same
}

[[noreturn]] void die_divergent() {
  print_place();
  std::fputs(": the threads wait for different things.\n", stderr);
  for (int begin = 0, end = 0; begin < m.count; begin = end) {
    const Thread& t = m.threads[begin];
    while (end < m.count && same_wait(t, m.threads[end])) ++end;
    std::fprintf(stderr, "  threads %d to %d ", begin, end - 1);
    if (t.state == State::left) {
      std::fputs("have left the kernel\n", stderr);
      continue;
    }
    std::fprintf(stderr,
                 "are at %s:%u, in %s",
                 t.site.file_name(),
                 static_cast<unsigned>(t.site.line()),
                 t.state == State::at_barrier ? "barrier()" : "shuffle_xor()");
    if (t.state == State::at_shuffle) std::fprintf(stderr, " with mask %d", t.mask);
    std::fputs("\n", stderr);
  }
  std::abort();
}

// The thread `t` runs from here on.
void enter(int t) {
  m.running = t;
  threadIdx.x = static_cast<unsigned>(t);
  become(m.threads[t].tsan);
}

// What a fiber does for ever: it runs threads of the block from their start, one after another as
// long as none waits. To ThreadSanitizer a stack is a thread's own, so then each has one.
void run_threads() {
  for (;;) {
    do {
      const int t = m.turns[m.next++];
      enter(t);
      acquire(&m.start);
      m.launch->thread();
      release(&m.end);
      m.threads[t].state = State::left;
      ++m.left;
    } while (!has_tsan() && m.next < m.count);
    m.idle[m.idle_count++] = Fiber::running();
    become(m.tsan_host);
    Fiber::park();
  }
}

void wait(State state, int mask, const Site& site) {
  const int t = m.running;
  Thread& self = m.threads[t];
  self.state = state;
  self.mask = mask;
  self.site = site;
  self.fiber = Fiber::running();
  become(m.tsan_host);
  Fiber::park();
}

// Threads [begin, end) may go on, if they all wait for the same.
void release_threads(int begin, int end) {
  for (int t = begin; t < end; ++t)
    if (!same_wait(m.threads[begin], m.threads[t])) die_divergent();
  for (int t = begin; t < end; ++t) {
    m.threads[t].state = State::runs;
    m.threads[t].released = true;
  }
}

// Lets the threads go on that have nobody to wait for any more; at random some warps only, so that
// one may be a step or two ahead of another.
void release_round() {
  bool any = m.held > 0;
  if (m.waiting == m.count) {
    release_threads(0, m.count);
    m.waiting = 0;
    any = true;
  }
  for (int warp = 0; warp < m.count / kWarp; ++warp) {
    if (m.shuffling[warp] < kWarp) continue;
    release_threads(warp * kWarp, (warp + 1) * kWarp);
    m.shuffling[warp] = 0;
    any = true;
  }
  if (!any) die_divergent();
  m.order.choose(m.turns, m.count);
  const std::uint64_t warps = m.order.choose_warps();
  m.held = 0;
  for (int i = 0; i < m.count; ++i) {
    const int t = m.turns[i];
    if (m.threads[t].released && (warps >> t / kWarp & 1) == 0) ++m.held;
    if (!m.threads[t].released || (warps >> t / kWarp & 1) == 0) continue;
    m.threads[t].released = false;
    enter(t);
    m.threads[t].fiber->resume(run_threads);
  }
}

void run_block() {
  for (int t = 0; t < m.count; ++t) {
    m.threads[t].state = State::runs;
    m.threads[t].shuffles = m.threads[t].barriers = 0;
  }
  m.next = m.left = m.waiting = 0;
  for (int& lanes : m.shuffling) lanes = 0;
  m.shared.begin_block();
  m.order.choose(m.turns, m.count);
  release(&m.start);
  while (m.next < m.count) {
    Fiber& fiber = has_tsan() ? m.fibers[m.turns[m.next]] : *m.idle[--m.idle_count];
    fiber.resume(run_threads);
  }
  while (m.left < m.count) release_round();
  if (has_tsan()) m.idle_count = 0;  // stacks are not handed round then
}

void get_ready() {
  m.order.set_if_nobody_did();
  m.tsan_host = has_tsan() ? __tsan_get_current_fiber() : nullptr;
  if (m.ready) return;
  m.ready = true;
  for (int t = kMostThreads - 1; t >= 0; --t) {
    m.idle[m.idle_count++] = &m.fibers[t];
    if (has_tsan()) m.threads[t].tsan = __tsan_create_fiber(0);
  }
  if (has_tsan()) m.idle_count = 0;
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(say_where);
}

}  // namespace

void run(const Launch& launch) {
  const auto& [x, y, z] = launch.grid;
  LAMINA_CHECK(x > 0 && x <= 0x7FFFFFFF && y > 0 && y <= 65535 && z > 0 && z <= 65535 &&
                   launch.block > 0 && launch.block <= kMostThreads,
               "kernel {}: CUDA runs no grid of {} x {} x {} blocks of {} threads.",
               launch.name,
               x,
               y,
               z,
               launch.block);
  get_ready();
  m.launch = &launch;
  m.count = launch.block;
  m.shared.begin_launch();
  gridDim = launch.grid;
  blockDim = {static_cast<unsigned>(launch.block), 1, 1};
  threadIdx = {};
  const std::uint64_t blocks = std::uint64_t{x} * y * z;
  const auto [first, step] = m.order.walk(blocks);
  for (std::uint64_t i = 0, b = first; i < blocks; ++i, b = (b + step) % blocks) {
    blockIdx = {static_cast<unsigned>(b % x),
                static_cast<unsigned>(b / x % y),
                static_cast<unsigned>(b / x / y)};
    run_block();
  }
  acquire(&m.end);
}

void set_order(Order order, std::uint64_t seed) { m.order.set(order, seed); }
void set_order_from_environment() { m.order.set_from_environment(); }

void barrier(const Site& site) {
  Thread& self = m.threads[m.running];
  char* const meeting = &m.barriers[self.barriers++ % 2];
  ++m.waiting;
  release(meeting);
  wait(State::at_barrier, 0, site);
  acquire(meeting);
}

void exchange(std::uint64_t* words, int count, int mask, const Site& site) {
  const int warp = m.running / kWarp, lane = m.running % kWarp;
  if (mask < 1 || mask >= kWarp) die("shuffle_xor() with a mask that is not within 1 to 31.");
  auto& set = m.words[warp][m.threads[m.running].shuffles++ % 2];
  for (int i = 0; i < count; ++i) set[lane][i] = words[i];
  ++m.shuffling[warp];
  wait(State::at_shuffle, mask, site);
  for (int i = 0; i < count; ++i) words[i] = set[lane ^ mask][i];
}

void* shared(const void* key, std::size_t bytes, std::size_t alignment) {
  const char* refusal = nullptr;
  void* const piece = m.shared.piece(key, bytes, alignment, refusal);
  if (piece == nullptr) die(refusal);
  return piece;
}

}  // namespace lamina::simt
