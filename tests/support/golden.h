// SPDX-License-Identifier: Apache-2.0
#pragma once

// Golden tests: .rules files that carry the diagnostics they expect.
//
//   rule fold Relu(x) -> x   #! error: expected `:` or `{` after the rule's name [syntax-error]
//
// The annotation names severity, text and kind; its line is the expected line. Every diagnostic
// needs an annotation and every annotation a diagnostic; a file is called fail_… if and only if it
// expects an error. With RULEC_BLESS=1 the annotations are rewritten instead of compared.

#include <functional>
#include <string>

#include "grammar/diagnostic.h"

namespace rulec::golden {

// Reports what is wrong with the source; what else it yields (a dump) is compared with the file
// beside the source that ends in `extension` instead of `.rules`. "" is not compared.
using Phase = std::function<std::string(const Source&, Diagnostics&)>;

// Runs every .rules file of a folder. Prints what differs; returns the process's exit code. A
// folder without files fails.
int run_folder(const std::string& folder, const std::string& extension, const Phase& phase);

}  // namespace rulec::golden
