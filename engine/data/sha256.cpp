// SPDX-License-Identifier: Apache-2.0
#include "engine/data/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/handle.h"

namespace lamina {
namespace {

ContentSum sum_of(ByteReader& reader) {
  constexpr std::size_t kBlock = std::size_t{1} << 18;
  std::vector<std::uint8_t> block(kBlock);
  Sha256 sum;
  std::uint64_t bytes = 0;
  while (true) {
    const std::size_t count = reader.read(block);
    sum.add(std::span(block).first(count));
    bytes += count;
    if (count < block.size()) return {sum.hex(), bytes};
  }
}

}  // namespace

struct Sha256::State {
  Handle<EVP_MD_CTX*, &EVP_MD_CTX_free> context{EVP_MD_CTX_new()};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  if (!state_->context || EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) != 1)
    fail("OpenSSL offers no SHA-256 here; check its configuration (OPENSSL_CONF).");
}

Sha256::~Sha256() = default;

void Sha256::add(std::span<const std::uint8_t> bytes) {
  if (EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) != 1)
    fail("OpenSSL could not compute a SHA-256; check its configuration (OPENSSL_CONF).");
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  if (EVP_DigestFinal_ex(state_->context.get(), digest.data(), &length) != 1)
    fail("OpenSSL could not compute a SHA-256; check its configuration (OPENSSL_CONF).");
  std::string text;
  for (unsigned int i = 0; i < length; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

std::string sha256_of(std::span<const std::uint8_t> bytes) {
  Sha256 sum;
  sum.add(bytes);
  return sum.hex();
}

std::string sha256_of_file(const std::filesystem::path& path) {
  ByteReader reader(path, kReplaceFile, ByteReader::Mode::as_stored);
  return sum_of(reader).sha256;
}

ContentSum sha256_of_content(const std::filesystem::path& path, std::string mend) {
  ByteReader reader(path, std::move(mend));
  return sum_of(reader);
}

}  // namespace lamina
