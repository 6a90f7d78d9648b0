// SPDX-License-Identifier: Apache-2.0
#include "compiler/sha256.h"

#include <sha256.h>
#include <sys/types.h>

#include "matcher/file.h"

namespace rulec {

std::string sha256(std::span<const std::byte> bytes) {
  char digest[SHA256_DIGEST_STRING_LENGTH];
  SHA256Data(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), digest);
  return digest;
}

Result<std::string> sha256_of_file(const std::filesystem::path& path) {
  auto file = MappedFile::open(path);
  if (!file) return file.error();
  const std::string_view bytes = (*file)->bytes();
  return sha256(std::as_bytes(std::span(bytes)));
}

}  // namespace rulec
