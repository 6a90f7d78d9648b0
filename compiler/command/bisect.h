// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which firing made two models differ: the rewrite is done again with fewer firings, half of them
// each time, until one remains.

#include "compiler/command/command.h"
#include "compiler/command/rules.h"

namespace rulec::command {

struct Guilty {
  Firing firing;
  std::string rule, package;
  Place place;
  std::size_t number = 0, of = 0;  // 0: the edits before the first firing
  std::string why;                 // how the models differ after it
  std::string repro;               // the file that shows it
  bool minimal = false;            // that holds the replaced nodes alone
};

// `options.flags` are the rules that made B of A. An exit status after the reason was told: no
// firing is to blame.
Or<Guilty> bisect(const VerifyOptions& options);

}  // namespace rulec::command
