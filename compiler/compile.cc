// SPDX-License-Identifier: Apache-2.0
#include "compiler/compile.h"

#include "compiler/resolver.h"
#include "compiler/typecheck.h"

namespace rulec {

std::optional<CompiledRules> compile_rules(RuleFiles& files, const CompileOptions& options,
                                           std::vector<std::string>& setting_errors) {
  CompiledRules out;
  // Names and types are one phase: a reader gets every mistake of both in one run.
  const bool resolved = Resolver(files, options, out, setting_errors).run();
  typecheck(files, out);
  for (RuleFile& file : files.files)
    file.diagnostics.sort();
  if (!resolved || files.has_errors()) return std::nullopt;
  return out;
}

}  // namespace rulec
