// SPDX-License-Identifier: Apache-2.0
#include "compiler/library_path.h"

#include <cstdlib>
#include <string_view>

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

std::vector<fs::path> default_rule_path(std::vector<fs::path> extra) {
  std::vector<fs::path> out = std::move(extra);
  if (const char* variable = std::getenv("RULEC_PATH")) {
    std::string_view rest = variable;
    while (!rest.empty()) {
      const std::size_t colon = rest.find(':');
      if (colon != 0) out.emplace_back(rest.substr(0, colon));
      rest = colon == rest.npos ? std::string_view() : rest.substr(colon + 1);
    }
  }
  for (fs::path& folder : library_rule_path())
    out.push_back(std::move(folder));
  return out;
}

}  // namespace rulec
