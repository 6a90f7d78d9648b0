// SPDX-License-Identifier: Apache-2.0
// rulec_golden PHASE FOLDER: the golden tests of one phase (support/golden.h).
#include "support/golden.h"

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "compiler/compile.h"
#include "compiler/lint.h"
#include "compiler/rule_files.h"
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

// Names and types: what the compiler says about the file itself, with the shipped rules around it.
static std::string check_phase(const Source& source, Diagnostics& diagnostics) {
  auto files =
      load_rule_text(std::string(source.name()), std::string(source.text()), default_rule_path({}));
  if (!files) {
    fmt::print("{}: {}\n", source.name(), files.error().message);
    std::exit(EXIT_FAILURE);
  }
  std::vector<std::string> setting_errors;
  if (const auto compiled = compile_rules(*files, {}, setting_errors)) lint(*files, *compiled);
  for (const RuleFile& file : files->files)
    if (file.requested)
      for (const Diagnostic& diagnostic : file.diagnostics.all())
        diagnostics.add(diagnostic);
  return "";
}

int main(int argc, char** argv) {
  std::string_view phase = argc == 3 ? argv[1] : "";
  if (phase == "parse") return golden::run_folder(argv[2], ".ast", parse_phase);
  if (phase == "check") return golden::run_folder(argv[2], ".checked", check_phase);
  fmt::print(stderr, "usage: rulec_golden parse|check FOLDER\n");
  return 2;
}
