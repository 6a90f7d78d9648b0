// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/console.h"

#include <cstdio>
#include <cstdlib>

#include <unistd.h>

namespace rulec::command {

void write_error(std::string_view text) {
  fmt::print(stderr, "rulec: {}\n", text);
}

bool terminal() {
  static const bool value = isatty(STDERR_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  return value;
}

std::string bold(std::string_view text) {
  return terminal() ? fmt::format("\x1b[1m{}\x1b[0m", text) : std::string(text);
}

Progress::Progress(std::string what)
    : what_(std::move(what)), start_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
  if (drawn_) fmt::print(stderr, "\r\x1b[K");
}

double Progress::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Progress::at(std::size_t done, std::size_t of) {
  const auto now = std::chrono::steady_clock::now();
  if (!terminal() || seconds() < 1 || now - shown_ < std::chrono::milliseconds(100)) return;
  shown_ = now;
  drawn_ = true;
  if (of > 0)
    fmt::print(stderr, "\r\x1b[K{} {}/{} ({:.0f} s)", what_, done, of, seconds());
  else
    fmt::print(stderr, "\r\x1b[K{} ({:.0f} s)", what_, seconds());
  std::fflush(stderr);
}

}  // namespace rulec::command
