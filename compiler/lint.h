// SPDX-License-Identifier: Apache-2.0
#pragma once

// Lints: rules that compile and are probably not what was meant. Warnings into the files that were
// asked for, never errors; kinds and reasons are in docs/diagnostics.md. Not the type check.
//
//   if (auto rules = compile_rules(files, {}, errors)) lint(files, *rules);

#include "compiler/compile.h"

namespace rulec {

void lint(RuleFiles& files, const CompiledRules& compiled);

}  // namespace rulec
