// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <string>

#include "compiler/command/command.h"
#include "compiler/command/console.h"
#include "grammar/ast_printer.h"
#include "grammar/parse.h"
#include "matcher/file.h"

namespace rulec::command {

static std::string read_standard_input() {
  std::string text;
  char buffer[1 << 16];
  for (std::size_t count; (count = std::fread(buffer, 1, sizeof buffer, stdin)) > 0;)
    text.append(buffer, count);
  return text;
}

// The canonical text, or nothing after the reason was told.
static std::optional<std::string> formatted(const std::string& name, std::string text) {
  const Source source(name, std::move(text));
  Diagnostics diagnostics;
  const auto file = parse(source, diagnostics);
  if (!file) {
    ::fmt::print(stderr, "{}", render(source, diagnostics));
    return std::nullopt;
  }
  return print(*file);
}

int fmt(const FmtOptions& options) {
  if (options.files.empty()) {
    const std::string text = read_standard_input();
    const auto out = formatted("<stdin>", text);
    if (!out) return input_fault;
    if (options.check) return *out == text ? done : input_fault;
    ::fmt::print("{}", *out);
    return done;
  }
  int status = done;
  for (const std::string& path : options.files) {
    auto file = MappedFile::open(path);
    if (!file) {
      complain("{}", file.error().message);
      status = input_fault;
      continue;
    }
    const std::string text((*file)->bytes());
    const auto out = formatted(path, text);
    if (!out) {
      status = input_fault;
    } else if (*out == text) {
      continue;
    } else if (options.check) {
      ::fmt::print(stderr, "{}: not in canonical layout; `rulec fmt {}` mends it\n", path, path);
      status = input_fault;
    } else if (auto written = write_file(path, *out); !written) {
      complain("{}", written.error().message);
      status = input_fault;
    }
  }
  return status;
}

}  // namespace rulec::command
