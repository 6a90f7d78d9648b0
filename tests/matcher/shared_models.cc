// SPDX-License-Identifier: Apache-2.0
#include "shared_models.h"

#include <algorithm>

namespace rulec {

std::vector<std::filesystem::path> shared_models() {
  std::vector<std::filesystem::path> all;
  const std::filesystem::path folder = std::filesystem::path(RULEC_SHARED_DIR) / "models";
  std::error_code code;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, code)) {
    if (entry.path().extension() == ".onnx") all.push_back(entry.path());
  }
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace rulec
