// SPDX-License-Identifier: Apache-2.0
// rulec_golden PHASE FOLDER: the golden tests of one phase (support/golden.h).
#include "support/golden.h"

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "grammar/ast_printer.h"
#include "grammar/parse.h"

using namespace rulec;

// A file that parses must print to text that parses to the same tree and prints the same again.
static std::string parse_phase(const Source& source, Diagnostics& diagnostics) {
  auto file = parse(source, diagnostics);
  diagnostics.sort();
  if (!file) return "";
  auto printed = print(*file);
  Source again("printed " + std::string(source.name()), printed);
  Diagnostics trouble;
  auto second = parse(again, trouble);
  if (!second || dump(*second) != dump(*file) || print(*second) != printed) {
    fmt::print("{}: does not survive printing:\n{}{}", source.name(), printed,
               render(again, trouble));
    std::exit(EXIT_FAILURE);
  }
  return dump(*file);
}

int main(int argc, char** argv) {
  std::string_view phase = argc == 3 ? argv[1] : "";
  if (phase == "parse") return golden::run_folder(argv[2], ".ast", parse_phase);
  fmt::print(stderr, "usage: rulec_golden parse FOLDER\n");
  return 2;
}
