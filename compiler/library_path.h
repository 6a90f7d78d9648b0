// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <vector>

namespace rulec {

// Where the shipped rule library lies: beside the installed command (../share/rulec/rules), or the
// source tree's rules/ for a command that runs from its build folder.
std::vector<std::filesystem::path> library_rule_path();

// Folders in which packages are looked up, nearest first: `extra`, $RULEC_PATH, the library.
std::vector<std::filesystem::path> default_rule_path(std::vector<std::filesystem::path> extra);

}  // namespace rulec
