// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "runtime/result.h"

namespace rulec {

// The digest in lower-case hexadecimal.
std::string sha256(std::span<const std::byte> bytes);
Result<std::string> sha256_of_file(const std::filesystem::path& path);

}  // namespace rulec
