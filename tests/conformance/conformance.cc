// SPDX-License-Identifier: Apache-2.0

// rulec_conformance DIR [--engine | --generic-engine] [--expect FILE] [--filter GLOB]
//                   [--list-failures] [--operators]
//
// Runs ONNX's backend tests below DIR with the reference evaluator, or with engines built of their
// models (--generic-engine: without fast kernels). FILE names the tests that are
// known not to pass, one a line, `#` starts a comment. Exit status 0: exactly those did not pass;
// 1: another test failed, or a listed one passed; 2: the command or DIR is wrong.

#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <fnmatch.h>

#include "tests/conformance/test_case.h"

using rulec::conformance::Outcome;
using rulec::conformance::Subject;
using rulec::conformance::Verdict;

namespace {

struct Options {
  std::string folder, expect, filter = "*";
  bool list_failures = false, operators = false;
  Subject subject = Subject::Evaluator;
};

struct Row {
  int passed = 0, failed = 0, not_supported = 0;
};

}  // namespace

static bool parse(std::span<char* const> arguments, Options& options) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    const bool has_next = i + 1 < arguments.size();
    if (argument == "--list-failures") {
      options.list_failures = true;
    } else if (argument == "--engine") {
      options.subject = Subject::Engine;
    } else if (argument == "--generic-engine") {
      options.subject = Subject::GenericEngine;
    } else if (argument == "--operators") {
      options.operators = true;
    } else if (argument == "--expect" && has_next) {
      options.expect = arguments[++i];
    } else if (argument == "--filter" && has_next) {
      options.filter = arguments[++i];
    } else if (options.folder.empty() && !argument.starts_with("-")) {
      options.folder = argument;
    } else {
      return false;
    }
  }
  return !options.folder.empty();
}

static std::set<std::string> read_expected(const std::string& path) {
  std::set<std::string> names;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    line.resize(std::min(line.find('#'), line.size()));
    line.resize(line.find_last_not_of(" \t\r") + 1);
    if (!line.empty()) names.insert(line);
  }
  return names;
}

int main(int argc, char** argv) {
  Options options;
  if (!parse(std::span(argv, static_cast<std::size_t>(argc)).subspan(1), options)) {
    fmt::print(stderr,
               "usage: rulec_conformance DIR [--engine | --generic-engine] [--expect FILE] "
               "[--filter GLOB] [--list-failures] [--operators]\n");
    return 2;
  }
  const std::set<std::string> expected = read_expected(options.expect);
  std::map<std::string, Row> table;
  int passed = 0, failed = 0, surprises = 0, with_fast = 0, only_fast = 0;
  for (const auto& folder : rulec::conformance::find_cases(options.folder)) {
    const std::string test = folder.filename().string();
    if (fnmatch(options.filter.c_str(), test.c_str(), 0) != 0) continue;
    const Outcome outcome = rulec::conformance::run_case(folder, options.subject);
    const bool pass = outcome.verdict == Verdict::Passed;
    (pass ? passed : failed) += 1;
    with_fast += outcome.fast > 0 ? 1 : 0;
    only_fast += outcome.fast > 0 && outcome.fast == outcome.operations ? 1 : 0;
    for (const std::string& name : outcome.operators) {
      Row& row = table[name];
      (pass                                       ? row.passed
       : outcome.verdict == Verdict::NotSupported ? row.not_supported
                                                  : row.failed) += 1;
    }
    const bool surprise = pass == expected.contains(test);
    if (surprise) ++surprises;
    if ((!pass && options.list_failures) || (surprise && !options.expect.empty())) {
      fmt::print("{}{}: {}\n", surprise ? "unexpected: " : "", test, pass ? "passed" : outcome.why);
    }
  }
  if (passed + failed == 0) {
    fmt::print(stderr, "error: no tests below {}\n", options.folder);
    return 2;
  }
  if (options.operators) {
    fmt::print("{:<44} passed  failed  not supported\n", "operator");
    for (const auto& [name, row] : table) {
      fmt::print("{:<44} {:>6}  {:>6}  {:>13}\n", name, row.passed, row.failed, row.not_supported);
    }
  }
  if (options.subject == Subject::Engine) {
    fmt::print("{} engines with fast kernels, {} of them with nothing else\n", with_fast,
               only_fast);
  }
  fmt::print("{} passed, {} failed\n", passed, failed);
  return surprises == 0 ? 0 : 1;
}
