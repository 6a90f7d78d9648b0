// SPDX-License-Identifier: Apache-2.0
#pragma once

// The models of ../shared, for tests that run over all of them.

#include <filesystem>
#include <vector>

namespace rulec {

// Every .onnx file below shared/models, sorted; empty where the folder is absent.
std::vector<std::filesystem::path> shared_models();

// Fails in CI, skips elsewhere: the first line of a test that needs the shared folder.
#define RULEC_NEEDS_SHARED_MODELS()                                        \
  if (shared_models().empty()) {                                           \
    if (std::getenv("CI") != nullptr) FAIL() << "shared/models is absent"; \
    GTEST_SKIP() << "shared/models is absent";                             \
  }

}  // namespace rulec
