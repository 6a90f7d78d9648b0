// SPDX-License-Identifier: Apache-2.0
#pragma once

// Bytes to be written that may lie in a file already: large ones are then copied from there by the
// system, without being read. Holes stay holes, and file systems that can share blocks do. Beside
// file.h's write_file, which writes from memory.
//
//   FilePiece piece{.bytes = view, .file = "/models/big.data", .offset = 4096};
//   Status written = write_file("out.data", std::span<const FilePiece>(&piece, 1));

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "runtime/result.h"

namespace rulec {

struct FilePiece {
  std::string_view bytes;
  std::string file = {};  // that holds the same bytes at `offset`; empty: none does
  std::uint64_t offset = 0;
};

// Whole or not at all, as file.h's.
Status write_file(const std::filesystem::path& path, std::span<const FilePiece> pieces);

}  // namespace rulec
