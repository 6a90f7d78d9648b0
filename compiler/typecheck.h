// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "compiler/compile.h"

namespace rulec {

// Holds resolved patterns and replacements against the operators' schemas, for every opset in
// which the operator exists: number of operands and results, attribute names and kinds, element
// types. What no version of the operator allows is an error; reported into the files' diagnostics.
void typecheck(RuleFiles& files, const CompiledRules& compiled);

}  // namespace rulec
