// A program that answers like `lamina kernels bench --serve`, with synthetic kernels: loops of
// known length, alone and in a team, and copies. Its own name says how it behaves: one with
// "slow15" in it takes 15 % longer, "die", "babble", "mute" and "error" fail as they say.
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

// Keeps the optimizer from leaving the loops out.
void use(double value) {
  volatile double sink = value;
  (void)sink;
}

void spin(double steps) {
  double x = 1;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(steps); ++i) x = x * 0.999999 + 1e-6;
  use(x);
}

void copy(std::vector<char>& from, std::vector<char>& to, double share) {
  const auto bytes = static_cast<std::size_t>(static_cast<double>(from.size()) / 2 * share);
  std::memcpy(to.data(), from.data(), bytes);
  use(to[bytes / 2]);
}

// Two threads that wait for one another, as kernels on a CPU do.
void team(double steps) {
#pragma omp parallel for num_threads(2) schedule(static, 1)
  for (int part = 0; part < 2; ++part) spin(steps / 2);
}

template <class Work>
double time_of(const Work& work) {
  const auto begin = Clock::now();
  work();
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

Json info(const char* name, const char* pass, double bytes, double flops) {
  return {{"case", name},
          {"op", "fake"},
          {"pass", pass},
          {"dtype", "f32"},
          {"implementation", "loop"},
          {"bytes", bytes},
          {"flops", flops}};
}

}  // namespace

int main(int, char** argv) {
  const std::string name = std::strrchr(argv[0], '/') ? std::strrchr(argv[0], '/') : argv[0];
  const auto called = [&](const char* part) { return name.find(part) != std::string::npos; };
  const double more = called("slow15") ? 1.15 : called("fast15") ? 1 / 1.15 : 1.0;
  std::vector<char> from(16 << 20, 1), to(16 << 20, 2);
  std::string line;
  while (std::getline(std::cin, line)) {
    const Json request = Json::parse(line);
    if (request.contains("quit")) break;
    if (request.contains("cases")) {
      if (called("babble")) std::cout << "hello, I am no server" << std::endl;
      const Json machine{
          {"device", "fake"},
          {"backend", "cpu"},
          {"threads", 1},
          {"lamina", name},
          {"bound", std::getenv("OMP_PROC_BIND") ? std::getenv("OMP_PROC_BIND") : ""}};
      const Json cases{info("spin/short", "forward", 0, 1e5),
                       info("spin/long", "forward", 0, 2e6),
                       info("copy/8M", "forward", 16e6, 0),
                       info("team/2", "forward", 0, 1e6),
                       info("spin/steady", "backward", 0, 1e6)};
      std::cout << Json{{"machine", machine}, {"cases", cases}} << std::endl;
      continue;
    }
    if (called("die")) {
      std::cerr << "fake: out of luck" << std::endl;
      return 3;
    }
    if (called("mute")) ::sleep(1000);
    if (called("error")) {
      std::cout << Json{{"error", "the kernel is on holiday"}} << std::endl;
      continue;
    }
    const std::string kernel = request["measure"];
    Json times = Json::array();
    for (int i = 0; i < request["samples"].get<int>(); ++i) {
      times.push_back(time_of([&] {
        if (kernel == "spin/short") spin(1e5 * more);
        if (kernel == "spin/long") spin(2e6 * more);
        if (kernel == "copy/8M") copy(from, to, more);
        if (kernel == "team/2") team(1e6 * more);
        if (kernel == "spin/steady") spin(1e6);  // never changes
      }));
    }
    std::cout << Json{{"ms", times}, {"yardstick_ms", time_of([] { spin(3e5); })}} << std::endl;
  }
  return 0;
}
