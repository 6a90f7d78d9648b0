// SPDX-License-Identifier: Apache-2.0
#include "compiler/library_path.h"

namespace rulec {

namespace fs = std::filesystem;

std::vector<fs::path> library_rule_path() {
  std::vector<fs::path> out;
  std::error_code code;
  const fs::path self = fs::read_symlink("/proc/self/exe", code);
  if (!code)
    if (const fs::path installed = self.parent_path().parent_path() / "share/rulec/rules";
        fs::is_directory(installed, code))
      out.push_back(installed);
  // Set for builds of the project itself; a folder that has gone is simply not there.
  if (const fs::path source = RULEC_SOURCE_RULES; fs::is_directory(source, code))
    out.push_back(source);
  return out;
}

}  // namespace rulec
