// SPDX-License-Identifier: Apache-2.0
// Any bytes: the parser says what is wrong, or what it accepts survives printing.
#include "grammar/ast_printer.h"
#include "grammar/parse.h"
#include "runtime/check.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  rulec::Source source("fuzz", std::string(reinterpret_cast<const char*>(data), size));
  rulec::Diagnostics diagnostics, none;
  auto file = rulec::parse(source, diagnostics);
  RULEC_CHECK(file.has_value() != diagnostics.has_errors());
  if (!file) return rulec::render(source, diagnostics).empty();
  auto again = rulec::parse(rulec::Source("printed", rulec::print(*file)), none);
  RULEC_CHECK(again && rulec::dump(*again) == rulec::dump(*file));
  return 0;
}
