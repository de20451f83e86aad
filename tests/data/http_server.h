// A web server on this machine for the tests of downloads: one that serves, and several that fail
// in the ways servers do.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace lamina {

enum class Manner {
  good,       // with byte ranges
  no_ranges,  // answers a range with the whole file, as simple servers do
  missing,    // 404 for everything
  stalling,   // sends half of what was asked for and then nothing
  breaking,   // sends half and hangs up
};

struct Request {
  std::string path;
  std::int64_t from = 0;  // of its Range header
};

class HttpServer {
 public:
  HttpServer(Manner manner, std::map<std::string, std::string> files);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::string address() const;  // "http://127.0.0.1:40123/"
  std::vector<Request> requests() const;

 private:
  void serve();
  void answer(int client);

  Manner manner_;
  std::map<std::string, std::string> files_;  // by path, "/name"
  int port_ = 0;                              // before the listener, which sets it
  int listener_ = -1;
  std::atomic<bool> stop_ = false;
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
  std::thread thread_;
};

// A port of this machine where nothing listens.
std::string dead_address();

}  // namespace lamina
