// SPDX-License-Identifier: Apache-2.0
#pragma once

// Files as a whole: mapped for reading, written all or not at all. Not streams.
//
//   auto file = MappedFile::open("model.onnx");
//   if (!file) return file.error();
//   use((*file)->bytes());

#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "runtime/result.h"

namespace rulec {

// The bytes of a file, for as long as the object lives. Pages are read when they are touched; a
// file that another process shortens meanwhile is beyond help.
class MappedFile {
 public:
  // Regular files are mapped; others (a pipe) are read to their end.
  static Result<std::shared_ptr<const MappedFile>> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::string_view bytes() const { return bytes_; }

 private:
  MappedFile() = default;
  std::string_view bytes_;
  std::string read_;  // of a file that cannot be mapped
  bool mapped_ = false;
};

// Writes the pieces one after the other: into a temporary file of the same folder, which is synced
// and takes the name `path` only when it is complete. The pieces may be views of a mapping of the
// old file.
Status write_file(const std::filesystem::path& path, std::span<const std::string_view> pieces);
Status write_file(const std::filesystem::path& path, std::string_view bytes);

}  // namespace rulec
