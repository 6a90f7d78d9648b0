// SPDX-License-Identifier: Apache-2.0
#include <charconv>

#include "compiler/command/command.h"
#include "compiler/command/compare.h"
#include "compiler/command/console.h"
#include "compiler/command/explain_html.h"
#include "compiler/command/report.h"
#include "compiler/sha256.h"
#include "matcher/file.h"
#include "matcher/onnx_io.h"

namespace rulec::command {

static Or<ExportOptions> export_options(const std::string& save_external) {
  ExportOptions out;
  if (save_external.empty()) return out;
  std::size_t size = 0;
  const char* end = save_external.data() + save_external.size();
  if (std::from_chars(save_external.data(), end, size).ptr != end || size == 0) {
    complain("--save-external={}: write a size in bytes", save_external);
    return usage_fault;
  }
  out.external_from = size;
  return out;
}

int rewrite(const RewriteOptions& options) {
  const auto exporting = export_options(options.save_external);
  if (const auto* status = std::get_if<int>(&exporting)) return *status;
  // Lives until the process ends: taking a large model apart would be the user's time.
  static Or<Rewritten>* kept = nullptr;
  kept = new Or<Rewritten>(rewrite_model(options.model, options.flags));
  Or<Rewritten>& result = *kept;
  if (const auto* status = std::get_if<int>(&result)) return *status;
  Rewritten& rewritten = std::get<Rewritten>(result);

  if (options.flags.verify == "final") {
    auto agreed = compare_with_original(options.model, rewritten.model, options.flags.seed);
    if (!agreed) {
      complain("{}; nothing was written", agreed.error().message);
      return input_fault;
    }
  }
  Progress saving("writing");
  ReportPaths paths;
  paths.model = options.model;
  paths.out = options.out;
  if (!options.dry_run) {
    const auto status =
        export_onnx(rewritten.model, options.out, std::get<ExportOptions>(exporting));
    if (!status) {
      complain("{}", status.error().message);
      return input_fault;
    }
  }
  paths.save_seconds = saving.seconds();
  if (!options.html.empty()) {
    auto before = import_onnx(options.model);
    if (!before) {
      complain("{}", before.error().message);
      return input_fault;
    }
    if (auto status = write_file(options.html, rewrite_page(*before, rewritten)); !status) {
      complain("{}", status.error().message);
      return input_fault;
    }
  }
  ::fmt::print(stderr, "{}", text_report(rewritten));
  if (options.dry_run)
    ::fmt::print(stderr, "dry run: nothing was written\n");
  else
    ::fmt::print(stderr, "{}: {} nodes, before {}\n", options.out, rewritten.model.live_nodes(),
                 rewritten.nodes_before);
  if (!options.json && options.report.empty()) return done;
  auto before = sha256_of_file(options.model);
  if (before) paths.model_sha256 = *before;
  if (!options.dry_run)
    if (auto after = sha256_of_file(options.out)) paths.out_sha256 = *after;
  const std::string json = json_report(rewritten, paths);
  if (options.json) ::fmt::print("{}", json);
  if (!options.report.empty())
    if (auto status = write_file(options.report, json); !status) {
      complain("{}", status.error().message);
      return input_fault;
    }
  return done;
}

}  // namespace rulec::command
