// SPDX-License-Identifier: Apache-2.0
#include "tests/data/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

namespace lamina {
namespace {

// A socket bound to a free port of 127.0.0.1.
int bound_socket(int& port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0)
    throw std::runtime_error("no port of 127.0.0.1 can be bound");
  port = ntohs(address.sin_port);
  return fd;
}

void send_all(int client, const std::string& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t count = send(client, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return;  // the client hung up, as it may
    sent += static_cast<std::size_t>(count);
  }
}

std::string read_head(int client) {
  std::string head;
  char byte;
  while (!head.ends_with("\r\n\r\n") && recv(client, &byte, 1, 0) == 1) head += byte;
  return head;
}

}  // namespace

HttpServer::HttpServer(Manner manner, std::map<std::string, std::string> files)
    : manner_(manner), files_(std::move(files)), listener_(bound_socket(port_)) {
  listen(listener_, 8);
  thread_ = std::thread([this] { serve(); });
}

HttpServer::~HttpServer() {
  stop_ = true;
  thread_.join();
  close(listener_);
}

std::string HttpServer::address() const {
  return "http://127.0.0.1:" + std::to_string(port_) + "/";
}

std::vector<Request> HttpServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void HttpServer::serve() {
  while (!stop_) {
    pollfd waiting{listener_, POLLIN, 0};
    constexpr int kLookUp = 20;  // ms, to see whether to stop
    if (poll(&waiting, 1, kLookUp) != 1) continue;
    const int client = accept(listener_, nullptr, nullptr);
    if (client < 0) continue;
    answer(client);
    close(client);
  }
}

void HttpServer::answer(int client) {
  const std::string head = read_head(client);
  if (!head.starts_with("GET ")) return;  // it hung up before it asked
  Request request;
  request.path = head.substr(4, head.find(' ', 4) - 4);
  if (const std::size_t range = head.find("Range: bytes="); range != std::string::npos)
    request.from = std::stoll(head.substr(range + 13));
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }
  const auto file = files_.find(request.path);
  if (manner_ == Manner::missing || file == files_.end()) {
    send_all(client,
             "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnone");
    return;
  }
  const std::string& whole = file->second;
  const bool ranged = request.from > 0 && manner_ != Manner::no_ranges;
  if (ranged && request.from >= std::ssize(whole)) {
    send_all(client, "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n");
    return;
  }
  const std::string body = ranged ? whole.substr(static_cast<std::size_t>(request.from)) : whole;
  std::string answer = ranged ? "HTTP/1.1 206 Partial Content\r\n" : "HTTP/1.1 200 OK\r\n";
  if (ranged)
    answer += "Content-Range: bytes " + std::to_string(request.from) + "-" +
              std::to_string(whole.size() - 1) + "/" + std::to_string(whole.size()) + "\r\n";
  answer += "Content-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n";
  const bool half = manner_ == Manner::stalling || manner_ == Manner::breaking;
  send_all(client, answer + (half ? body.substr(0, body.size() / 2) : body));
  if (manner_ != Manner::stalling) return;
  // Until the client hangs up or the test ends.
  pollfd waiting{client, POLLIN, 0};
  while (!stop_ && poll(&waiting, 1, 20) == 0) {
  }
}

std::string dead_address() {
  int port = 0;
  close(bound_socket(port));
  return "http://127.0.0.1:" + std::to_string(port) + "/";
}

}  // namespace lamina
