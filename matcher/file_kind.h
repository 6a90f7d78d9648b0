// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace rulec {

// For messages: what a file that is no ONNX model seems to be, by its first bytes, and what to do
// about it. "a PNG picture", "a Git LFS pointer; `git lfs pull` fetches the model". Empty: no idea.
std::string_view file_kind(std::string_view bytes);

}  // namespace rulec
