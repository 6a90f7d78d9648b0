// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace rulec {

// Prints where an invariant of ours was broken and aborts; the command turns the abort into
// exit status 3 with a request to report it. Never for the user's mistakes.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace rulec

#define RULEC_CHECK(condition)                         \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::rulec::check_failed(#condition, __FILE__, __LINE__))
