// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/console.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include <unistd.h>

namespace rulec::command {

void write_error(std::string_view text) {
  fmt::print(stderr, "rulec: {}\n", text);
}

// A message without what differs between places: quoted names, and numbers.
static std::string kind_of(std::string_view message) {
  std::string out;
  bool quoted = false;
  for (const char c : message) {
    if (c == '`') quoted = !quoted;
    if (!quoted && (c < '0' || c > '9')) out += c;
  }
  return out;
}

void warn(std::span<const std::string> warnings) {
  std::vector<std::pair<std::string, std::size_t>> kinds;  // in the order they came
  std::vector<const std::string*> firsts;
  for (const std::string& warning : warnings) {
    const std::string kind = kind_of(warning);
    const auto known = std::find_if(kinds.begin(), kinds.end(),
                                    [&](const auto& one) { return one.first == kind; });
    if (known != kinds.end()) {
      ++known->second;
      continue;
    }
    kinds.emplace_back(kind, 0);
    firsts.push_back(&warning);
  }
  for (std::size_t i = 0; i < kinds.size(); ++i)
    complain("warning: {}{}", *firsts[i],
             kinds[i].second == 0 ? "" : fmt::format(" … and {} more like it", kinds[i].second));
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
