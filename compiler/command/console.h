// SPDX-License-Identifier: Apache-2.0
#pragma once

// What commands say: messages on standard error, results on standard output, a line of progress
// for work that lasts over a second on a terminal.

#include <chrono>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace rulec::command {

void write_error(std::string_view text);  // "rulec: " and a newline are added

template <typename... Args>
void complain(fmt::format_string<Args...> format, Args&&... args) {
  write_error(fmt::format(format, std::forward<Args>(args)...));
}

// Warnings that differ in names and numbers only are told once: "… and 11 more like it".
void warn(std::span<const std::string> warnings);

bool terminal();                          // standard error is one, and NO_COLOR is not set
std::string bold(std::string_view text);  // only on a terminal

// A step of work. After a second on a terminal it shows its name and how long it has taken;
// in a pipe nothing.
//
//   Progress progress("proving rule nms");
//   …
//   progress.at(3, 10);   // how far, where that is known
class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void at(std::size_t done, std::size_t of);
  double seconds() const;

 private:
  std::string what_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point shown_{};
  bool drawn_ = false;
};

}  // namespace rulec::command
