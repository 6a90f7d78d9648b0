// SPDX-License-Identifier: Apache-2.0
// Compiles a rule with the installed library and its installed rule packages.
#include "compiler/compile.h"

int main(int, char** argv) {
  auto files = rulec::load_rule_text("own.rules", "Relu(Relu(x)) -> Relu(x)\n", {argv[1]});
  if (!files) return 1;
  std::vector<std::string> errors;
  const auto compiled = rulec::compile_rules(*files, {}, errors);
  return compiled && compiled->rules.phases.front().rules.size() == 1 ? 0 : 1;
}
