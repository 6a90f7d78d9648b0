// SPDX-License-Identifier: Apache-2.0
#include "matcher/file.h"

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "matcher/file_piece.h"

namespace rulec {

namespace {

// An open file descriptor.
struct Descriptor {
  int number = -1;
  explicit Descriptor(int n) : number(n) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

}  // namespace

static Error file_error(const std::filesystem::path& path, std::string_view what) {
  return make_error("{}: {}: {}", path.string(), what, std::strerror(errno));
}

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::filesystem::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number < 0) return file_error(path, "cannot be opened");
  struct stat status = {};
  if (::fstat(file.number, &status) != 0) return file_error(path, "cannot be examined");
  if (S_ISDIR(status.st_mode)) return make_error("{}: is a folder, not a file", path.string());
  std::shared_ptr<MappedFile> mapped(new MappedFile);
  if (S_ISREG(status.st_mode)) {
    const auto size = static_cast<std::size_t>(status.st_size);
    if (size == 0) return std::shared_ptr<const MappedFile>(mapped);
    void* const at = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number, 0);
    if (at == MAP_FAILED) return file_error(path, "cannot be mapped");
    mapped->bytes_ = {static_cast<const char*>(at), size};
    mapped->mapped_ = true;
    return std::shared_ptr<const MappedFile>(mapped);
  }
  char buffer[1 << 16];
  while (true) {
    const ssize_t got = ::read(file.number, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return file_error(path, "cannot be read");
    if (got == 0) break;
    mapped->read_.append(buffer, static_cast<std::size_t>(got));
  }
  mapped->bytes_ = mapped->read_;
  return std::shared_ptr<const MappedFile>(mapped);
}

MappedFile::~MappedFile() {
  if (mapped_) ::munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

static bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(file, bytes.data(), std::min<std::size_t>(bytes.size(), 1 << 30));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(done));
  }
  return true;
}

// From one file to the end of another; how many bytes were done (fewer where the system declines).
static std::size_t copy_range(const FilePiece& piece, int to) {
  const Descriptor from(::open(piece.file.c_str(), O_RDONLY | O_CLOEXEC));
  if (from.number < 0) return 0;
  const auto end = static_cast<off_t>(piece.offset + piece.bytes.size());
  auto at = static_cast<off_t>(piece.offset);
  const auto done = [&] { return static_cast<std::size_t>(at) - piece.offset; };
  while (at < end) {
    off_t data = ::lseek(from.number, at, SEEK_DATA);
    if (data < 0 && errno != ENXIO) return done();  // ENXIO: a hole up to the end
    if (data < 0 || data > end) data = end;
    if (data > at && ::lseek(to, data - at, SEEK_CUR) < 0) return done();
    at = data;
    if (at == end) break;
    off_t hole = ::lseek(from.number, at, SEEK_HOLE);
    if (hole < 0 || hole > end) hole = end;
    while (at < hole) {
      off_t source = at;
      const ssize_t copied = ::copy_file_range(from.number, &source, to, nullptr,
                                               static_cast<std::size_t>(hole - at), 0);
      if (copied <= 0) return done();
      at += copied;
    }
  }
  return done();
}

Status write_file(const std::filesystem::path& path, std::span<const std::string_view> pieces) {
  std::vector<FilePiece> all;
  all.reserve(pieces.size());
  for (const std::string_view piece : pieces)
    all.push_back({.bytes = piece});
  return write_file(path, all);
}

Status write_file(const std::filesystem::path& path, std::span<const FilePiece> pieces) {
  // A link is followed, so that it stays one; devices and pipes are written to directly.
  std::error_code code;
  std::filesystem::path target = path;
  if (std::filesystem::is_symlink(path, code)) {
    target = std::filesystem::weakly_canonical(path, code);
    if (code) return make_error("{}: cannot be resolved: {}", path.string(), code.message());
  }
  if (std::filesystem::exists(target, code) && !std::filesystem::is_regular_file(target, code)) {
    if (std::filesystem::is_directory(target, code)) {
      return make_error("{}: is a folder, not a file", path.string());
    }
    const Descriptor device(::open(target.c_str(), O_WRONLY | O_CLOEXEC));
    if (device.number < 0) return file_error(path, "cannot be opened for writing");
    for (const FilePiece& piece : pieces) {
      if (!write_all(device.number, piece.bytes)) return file_error(path, "cannot be written");
    }
    return Done{};
  }
  std::string temporary = target.string() + ".XXXXXX";
  const Descriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (file.number < 0) return file_error(path, "cannot be created");
  const auto give_up = [&](std::string_view what) -> Status {
    Error error = file_error(path, what);
    ::unlink(temporary.c_str());
    return error;
  };
  // Small pieces together: one call for each megabyte, not for each tensor.
  std::string pending;
  for (const FilePiece& piece : pieces) {
    std::string_view bytes = piece.bytes;
    if (bytes.size() < 1 << 16) {
      pending += bytes;
      if (pending.size() < 1 << 20) continue;
      bytes = {};
    }
    if (!write_all(file.number, pending)) return give_up("cannot be written");
    pending.clear();
    if (!piece.file.empty() && bytes.size() >= 1 << 20)
      bytes.remove_prefix(copy_range(piece, file.number));
    if (!write_all(file.number, bytes)) return give_up("cannot be written");
  }
  if (!write_all(file.number, pending)) return give_up("cannot be written");
  // A hole at the end is not written by anyone.
  const off_t size = ::lseek(file.number, 0, SEEK_CUR);
  if (size < 0 || ::ftruncate(file.number, size) != 0) return give_up("cannot be written");
  // mkstemp gives 0600: take the old file's mode, or what the umask grants.
  struct stat old = {};
  mode_t mode = 0;
  if (::stat(target.c_str(), &old) == 0) {
    mode = old.st_mode & 07777;
  } else {
    const mode_t mask = ::umask(0);
    ::umask(mask);
    mode = 0666 & ~mask;
  }
  if (::fchmod(file.number, mode) != 0) return give_up("cannot be given its mode");
  if (::fsync(file.number) != 0) return give_up("cannot be synced");
  if (::rename(temporary.c_str(), target.c_str()) != 0) return give_up("cannot be replaced");
  return Done{};
}

Status write_file(const std::filesystem::path& path, std::string_view bytes) {
  return write_file(path, std::span<const std::string_view>(&bytes, 1));
}

}  // namespace rulec
