// SPDX-License-Identifier: Apache-2.0
#include "runtime/check.h"

#include <cstdio>
#include <cstdlib>

namespace rulec {

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "rulec: internal error: %s:%d: the condition '%s' does not hold\n", file,
               line, condition);
  std::fflush(stderr);
  std::abort();
}

}  // namespace rulec
