// SPDX-License-Identifier: Apache-2.0
// rulec_parse_only FILE…: prints one line per file, `ok` or `err` and the first message. For
// second_opinion_test.py.
#include <cstdio>
#include <fstream>
#include <iterator>

#include "grammar/parse.h"

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    std::ifstream in(argv[i], std::ios::binary);
    if (!in) {
      fmt::print(stderr, "{}: cannot be read\n", argv[i]);
      return 2;
    }
    rulec::Source source(argv[i], {std::istreambuf_iterator<char>(in), {}});
    rulec::Diagnostics diagnostics;
    if (rulec::parse(source, diagnostics))
      fmt::print("ok\n");
    else
      fmt::print("err {}\n", diagnostics.all().front().text());
  }
  return 0;
}
