// SPDX-License-Identifier: Apache-2.0
#pragma once

// ONNX files to Model and back. Binary files are mapped and decoded in place: weights stay views
// of the mapping. `.onnxtxt` is ONNX's text form. External data is mapped from the model's folder;
// absolute paths, paths that leave the folder and links are refused.

#include <filesystem>
#include <string>
#include <string_view>

#include "matcher/graph.h"
#include "runtime/result.h"

namespace rulec {

class OpTable;

Result<Model> import_onnx(const std::filesystem::path& path);
Result<Model> import_onnx_bytes(std::string bytes, const std::filesystem::path& folder = {});
Result<Model> import_onnx_text(std::string_view text);  // ONNX's text form, for tests

struct ExportOptions {
  // Tensors of at least this many bytes go to `<file>.data` beside the model; 0: none does, save
  // that tensors which were external and unchanged stay references to their files when the output
  // lies in the same folder.
  std::size_t external_from = 0;
};

// Writes whole or not at all: temporary file, fsync, rename.
Status export_onnx(const Model& model, const std::filesystem::path& path,
                   const ExportOptions& options = {});
Result<std::string> export_onnx_bytes(const Model& model);
std::string export_onnx_text(const Model& model);  // for goldens; weights abbreviated by ONNX

// ONNX's own checker on the model (plugin operators are told to it). Empty when it accepts.
Status check_onnx(const Model& model);

// Runs ONNX's shape inference with data propagation and stores the types into the model's values.
// Declared types of inputs and outputs stay. Where inference fails, values keep what they have and
// `warnings` says where it stopped; never an Error for a bad model, never a crash. `ops` adds the
// operators that rule files declare.
void infer_types(Model& model, std::vector<std::string>& warnings, const OpTable* ops = nullptr);
// How a warning begins that names this node as the place.
std::string stops_at(const Model& model, NodeId id);

}  // namespace rulec
