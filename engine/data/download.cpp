// SPDX-License-Identifier: Apache-2.0
#include "engine/data/download.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/handle.h"
#include "engine/data/archive.h"
#include "engine/data/sha256.h"
#include "engine/files/atomic_file.h"
#include "engine/files/posix_file.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;

// The file under its temporary name, locked: a second download of it would tear the first one's.
class PartFile {
 public:
  explicit PartFile(fs::path path) : path_(std::move(path)), file_(open_locked(path_)) {}

  const fs::path& path() const { return path_; }
  std::int64_t size() const { return ::lseek(file_.get(), 0, SEEK_END); }

  void clear() {
    if (::ftruncate(file_.get(), 0) != 0) fail_errno("write", path_, errno);
  }

  void append(std::span<const std::byte> bytes) {
    ::lseek(file_.get(), 0, SEEK_END);
    if (!write_all(file_.get(), bytes)) fail_errno("write", path_, errno);
  }

  void finish_as(const fs::path& target) {
    // Some file systems cannot sync, which is no error of the download.
    if (::fsync(file_.get()) != 0 && errno != EINVAL && errno != ENOTSUP)
      fail_errno("write", path_, errno);
    if (::rename(path_.c_str(), target.c_str()) != 0) fail_errno("write", target, errno);
  }

  void remove() { ::unlink(path_.c_str()); }

 private:
  static Descriptor open_locked(const fs::path& path) {
    while (true) {
      Descriptor file = open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW);
      if (!file) fail_errno("write", path, errno);
      if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        fail("'{}' is being written by another download; wait until it ends.", path.string());
      // Between our open and our lock the other download may have renamed it into place.
      struct stat opened {
      }, named{};
      if (::fstat(file.get(), &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
          opened.st_ino == named.st_ino && opened.st_dev == named.st_dev)
        return file;
    }
  }

  fs::path path_;
  Descriptor file_;
};

// One try of one mirror, as the C callbacks of libcurl see it. They must not throw, so they keep
// what was thrown and stop the transfer.
struct Transfer {
  using Clock = std::chrono::steady_clock;

  PartFile& part;
  const ServedFile& file;
  const DownloadOpts& opts;
  std::string mirror;
  // libcurl's own limit on slow transfers judges by an average and so comes seconds late.
  Clock::time_point last_bytes = Clock::now();
  bool too_long = false, stalled = false;
  std::exception_ptr thrown;

  static std::size_t on_bytes(char* bytes, std::size_t size, std::size_t count, void* user) {
    auto& self = *static_cast<Transfer*>(user);
    try {
      self.last_bytes = Clock::now();
      // Refuses what cannot be the file before it fills the disk.
      self.too_long = self.part.size() + static_cast<std::int64_t>(size * count) > self.file.bytes;
      if (self.too_long) return 0;
      self.part.append(std::as_bytes(std::span(bytes, size * count)));
      return size * count;
    } catch (...) {
      self.thrown = std::current_exception();
      return 0;
    }
  }

  static int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    auto& self = *static_cast<Transfer*>(user);
    try {
      if (self.opts.progress)
        self.opts.progress({self.file.name, self.mirror, self.part.size(), self.file.bytes});
      self.stalled =
          Clock::now() - self.last_bytes >= std::chrono::seconds(self.opts.stall_timeout_s);
      return self.stalled ? 1 : 0;
    } catch (...) {
      self.thrown = std::current_exception();
      return 1;
    }
  }
};

void allow_schemes(CURL* curl) {
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https,file");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS | CURLPROTO_FILE);
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
}

struct Outcome {
  std::string problem;   // empty: all is well
  bool offline = false;  // the mirror was not reached at all
  bool useless = false;  // what lies in the part cannot be continued
};

bool means_offline(CURLcode code) {
  return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
         code == CURLE_COULDNT_CONNECT;
}

std::string describe(CURLcode code, long status, const Transfer& transfer, const char* detail) {
  if (transfer.too_long)
    return fmt::format("it sends more than the {} bytes of the file", transfer.file.bytes);
  if (code == CURLE_HTTP_RETURNED_ERROR) return fmt::format("HTTP status {}", status);
  if (transfer.stalled) return "it stopped answering";
  std::string text = detail[0] != '\0' ? detail : curl_easy_strerror(code);
  if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
    text += " (is the package ca-certificates installed?)";
  return text;
}

// Appends to the part what is missing in it.
Outcome fetch_rest(const std::string& mirror,
                   const ServedFile& file,
                   const DownloadOpts& opts,
                   PartFile& part) {
  const Handle<CURL*, &curl_easy_cleanup> handle(curl_easy_init());
  if (!handle) fail("libcurl {} cannot start; check its installation.", LIBCURL_VERSION);
  CURL* curl = handle.get();
  Transfer transfer{.part = part, .file = file, .opts = opts, .mirror = mirror, .thrown = nullptr};
  std::array<char, CURL_ERROR_SIZE> detail{};
  const std::string url = mirror + file.name;
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  allow_schemes(curl);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "lamina");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail.data());
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, static_cast<long>(opts.connect_timeout_s));
  curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(part.size()));
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Transfer::on_bytes);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  const CURLcode code = curl_easy_perform(curl);
  if (transfer.thrown) std::rethrow_exception(transfer.thrown);
  if (code == CURLE_OK) return {};
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  constexpr long kRangeNotSatisfiable = 416;
  return {.problem = describe(code, status, transfer, detail.data()),
          .offline = means_offline(code),
          .useless = transfer.too_long || status == kRangeNotSatisfiable ||
                     code == CURLE_RANGE_ERROR || code == CURLE_BAD_DOWNLOAD_RESUME};
}

// What is wrong with the part; empty when it is the published file.
std::string judge(const ServedFile& file, const PartFile& part) {
  if (part.size() != file.bytes)
    return fmt::format("{} bytes came, where the file has {}", part.size(), file.bytes);
  const std::string sum = sha256_of_file(part.path());
  if (sum != file.sha256)
    return fmt::format("its SHA-256 is {}, where {} is published", sum, file.sha256);
  return "";
}

// A part that a former try left may be anything: when it turns out useless, the mirror gets a
// second try from the first byte.
Outcome fetch_from(const std::string& mirror,
                   const ServedFile& file,
                   const DownloadOpts& opts,
                   PartFile& part) {
  if (part.size() >= file.bytes) {
    if (judge(file, part).empty()) return {};
    part.clear();
  }
  while (true) {
    const bool resumed = part.size() > 0;
    Outcome outcome = fetch_rest(mirror, file, opts, part);
    if (outcome.problem.empty()) {
      outcome.problem = judge(file, part);
      if (outcome.problem.empty()) return outcome;
      outcome.useless = true;
    }
    if (outcome.useless) part.clear();
    if (!outcome.useless || !resumed) return outcome;
  }
}

}  // namespace

std::vector<std::string> mirrors_of(const DatasetInfo& info, const std::string& first) {
  std::string base = first;
  if (const char* value = std::getenv("LAMINA_MIRROR"); base.empty() && value != nullptr)
    base = value;
  std::vector<std::string> mirrors;
  if (!base.empty()) {
    if (base.find("://") == std::string::npos)
      fail_request(
          "the mirror '{}' is not an address; write it as https://host/folder or "
          "file:///folder.",
          base);
    if (!base.ends_with('/')) base += '/';
    mirrors = {base + info.name + "/", base};
  }
  mirrors.insert(mirrors.end(), info.mirrors.begin(), info.mirrors.end());
  return mirrors;
}

fs::path download_file(const ServedFile& file, const fs::path& folder, const DownloadOpts& opts) {
  make_folder(folder);
  fs::path target = folder / file.name;
  std::error_code ignored;  // a file that cannot be looked at is fetched anew
  if (fs::is_regular_file(target, ignored) && sha256_of_file(target) == file.sha256) return target;

  PartFile part(folder / (file.name + ".part"));
  std::string problems;
  bool offline = !opts.mirrors.empty();
  for (const std::string& mirror : opts.mirrors) {
    const Outcome outcome = fetch_from(mirror, file, opts, part);
    if (outcome.problem.empty()) {
      part.finish_as(target);
      return target;
    }
    problems += fmt::format("{}{}: {}", problems.empty() ? "" : "; ", mirror, outcome.problem);
    offline = offline && outcome.offline;
  }
  if (part.size() == 0) part.remove();
  fail(
      "cannot download '{}' ({}); {}, name another mirror with --mirror or LAMINA_MIRROR, or "
      "put "
      "the file into '{}' by hand.",
      file.name,
      problems.empty() ? "no mirror is known" : problems,
      offline ? "this machine seems to be offline: connect it" : "try again later",
      folder.string());
}

void download_dataset(const DatasetInfo& info,
                      const fs::path& folder,
                      const DownloadOpts& opts,
                      const std::function<void(const ServedFile&)>& done) {
  if (!info.archive.name.empty()) {
    const fs::path archive = download_file(info.archive, folder, opts);
    done(info.archive);
    unpack_files(archive, info.archive_folder, info.files, folder);
    std::error_code ignored;  // an archive that stays is no harm
    fs::remove(archive, ignored);
    return;
  }
  for (const PublishedFile& file : info.files) {
    download_file(file.served, folder, opts);
    done(file.served);
  }
}

}  // namespace lamina
