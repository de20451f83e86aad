// A file is the JSON object {key, engine, plan, sha256}, the last over the other three.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/plan_cache.h"

#include <openssl/evp.h>

#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/files/atomic_file.h"

namespace lamina {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string sha256(const std::string& text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1)
    fail("OpenSSL could not compute a SHA-256; check its configuration (OPENSSL_CONF).");
  std::string hex;
  for (unsigned int i = 0; i < length; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

// Equal keys and a plan that parses do not show a digit that was changed; cuDNN would be handed it.
std::string sum_of(const json& file) {
  return sha256(json::array({file.at("key"), file.at("engine"), file.at("plan")}).dump());
}

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

fs::path PlanCache::usual_folder() {
  const std::string wish = environment("LAMINA_PLAN_CACHE");
  if (!wish.empty()) return wish == "off" ? fs::path() : fs::path(wish);
  // The XDG rules: a relative value counts as none.
  const fs::path cache = environment("XDG_CACHE_HOME");
  if (cache.is_absolute()) return cache / "lamina" / "plans";
  const fs::path home = environment("HOME");
  return home.empty() ? fs::path() : home / ".cache" / "lamina" / "plans";
}

fs::path PlanCache::file_of(const std::string& key) const {
  return folder_ / (sha256(key) + ".json");
}

std::optional<CachedPlan> PlanCache::find(const std::string& key) const {
  if (folder_.empty()) return std::nullopt;
  try {
    const json file = json::parse(read_text_file(file_of(key)));
    if (file.at("key") != key || file.at("sha256") != sum_of(file)) return std::nullopt;
    CachedPlan plan{file.at("engine").get<std::string>()};
    if (!file.at("plan").is_null()) plan.bytes = json::to_ubjson(file.at("plan"));
    return plan;
  } catch (const Error&) {
    return std::nullopt;  // no such file, most often
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

void PlanCache::keep(const std::string& key, const CachedPlan& plan) {
  if (folder_.empty() || !writable_) return;
  try {
    json file{{"key", key}, {"engine", plan.engine}, {"plan", nullptr}};
    if (!plan.bytes.empty()) file["plan"] = json::from_ubjson(plan.bytes);
    file["sha256"] = sum_of(file);
    make_folder(folder_);
    write_file_atomically(file_of(key), file.dump(1) + "\n");
  } catch (const std::exception& error) {
    writable_ = false;
    fmt::print(stderr,
               "warning: plans are not kept and will be made again by the next run: {} "
               "LAMINA_PLAN_CACHE names another folder, or says off.\n",
               error.what());
  }
}

}  // namespace lamina
