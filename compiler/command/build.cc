// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/build.h"

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "compiler/command/command.h"
#include "compiler/command/compare.h"
#include "compiler/command/console.h"
#include "compiler/command/report.h"
#include "compiler/sha256.h"
#include "matcher/file.h"
#include "matcher/onnx_io.h"

namespace rulec::command {

using Json = nlohmann::ordered_json;

static std::array<std::uint8_t, 32> digest_bytes(const std::string& hexadecimal) {
  std::array<std::uint8_t, 32> out{};
  const auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  for (std::size_t i = 0; i < out.size() && 2 * i + 1 < hexadecimal.size(); ++i)
    out[i] =
        static_cast<std::uint8_t>(16 * value(hexadecimal[2 * i]) + value(hexadecimal[2 * i + 1]));
  return out;
}

static std::string rules_digest(const LoadedRules& rules) {
  std::string all;
  for (const RuleFile& file : rules.files.files)
    if (file.source) all += std::string(file.source->text()) + '\0';
  return sha256(std::as_bytes(std::span(all)));
}

static Result<rulec::BuildOptions> backend_options(const BuildOptions& options,
                                                   const LoadedRules& rules) {
  if (options.precision != "f32")
    return make_error(
        "--precision {}: engines compute in f32, or in the 8 bits that a model is quantized to",
        options.precision);
  if (!options.flags.rules.target.empty() && !options.flags.rules.target.starts_with("cpu"))
    return make_error(
        "--target {}: engines are for cpu; rules for other targets apply with `rulec rewrite`",
        options.flags.rules.target);
  rulec::BuildOptions out;
  out.isa = options.isa == "auto" ? detected_isa() : isa_of(options.isa).value_or(Isa::Portable);
  out.optimize = options.opt == "size"       ? Optimize::Size
                 : options.opt == "balanced" ? Optimize::Balanced
                                             : Optimize::Latency;
  out.producer = "rulec " RULEC_VERSION;
  const auto model = sha256_of_file(options.model);
  if (!model) return model.error();
  out.model_sha256 = digest_bytes(*model);
  out.rules_sha256 = digest_bytes(rules_digest(rules));
  return out;
}

static std::string build_report(const BuildOptions& options, const Rewritten& rewritten,
                                const BuiltEngine& built, double seconds) {
  const Json rewriting = Json::parse(
      json_report(
          rewritten,
          {.model = options.model, .out = options.out, .model_sha256 = "", .out_sha256 = ""}),
      nullptr, false);
  Json nodes = Json::array();
  for (const BuiltNode& node : built.report)
    nodes.push_back(
        {{"node", node.node}, {"op", node.type}, {"kernel", node.kernel}, {"note", node.note}});
  const Json out = {
      {"rulec", RULEC_VERSION},
      {"model",
       {{"path", options.model}, {"opset", rewritten.opset}, {"nodes", rewritten.nodes_before}}},
      {"out", {{"path", options.out}, {"bytes", built.bytes.size()}}},
      {"nodes", rewritten.model.live_nodes()},
      {"operations", built.operations},
      {"generic_operations", built.generic_operations},
      {"open_dimension", built.open_dimension.empty() ? Json() : Json(built.open_dimension)},
      {"arena_bytes", built.arena_bytes},
      {"firings", rewriting.value("firings", Json::array())},
      {"built", nodes},
      {"warnings", built.warnings},
      {"seconds",
       {{"rewrite", rewritten.compile_seconds + rewritten.load_seconds + rewritten.rewrite_seconds},
        {"build", seconds}}}};
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

static void print_summary(const BuildOptions& options, const Rewritten& rewritten,
                          const BuiltEngine& built, double seconds) {
  if (!rewritten.report.firings.empty() || !rewritten.report.edits.empty())
    ::fmt::print(stderr, "{}", text_report(rewritten));
  std::size_t fused = 0, gone = 0;
  std::map<std::string, std::pair<std::size_t, std::string>> generic;  // type: count, why
  for (const BuiltNode& node : built.report) {
    if (node.note.starts_with("fused"))
      ++fused;
    else if (node.kernel.empty())
      ++gone;
    if (!node.kernel.starts_with("Generic")) continue;
    auto& entry = generic[node.type];
    ++entry.first;
    if (entry.second.empty()) entry.second = node.note;
  }
  ::fmt::print(stderr,
               "nodes      {} in the model, {} after rewriting, {} operations in the engine",
               rewritten.nodes_before, rewritten.model.live_nodes(), built.operations);
  ::fmt::print(stderr, " ({} fused, {} gone)\n", fused, gone);
  if (!built.open_dimension.empty())
    ::fmt::print(stderr, "sizes      {}: one plan for any size\n", built.open_dimension);
  if (!generic.empty())
    ::fmt::print(stderr, "generic    {} operations run by the slower generic kernels:\n",
                 built.generic_operations);
  for (const auto& [type, entry] : generic)
    ::fmt::print(stderr, "  {:4} {}{}\n", entry.first, type,
                 entry.second.empty() ? "" : ": " + entry.second);
  ::fmt::print(stderr, "{}: {:.2f} MB, {:.2f} MB of arena, built in {:.2f} s\n", options.out,
               static_cast<double>(built.bytes.size()) / 1e6,
               static_cast<double>(built.arena_bytes) / 1e6, seconds);
}

int build(const BuildOptions& options) {
  auto result = rewrite_model(options.model, options.flags);
  if (const auto* status = std::get_if<int>(&result)) return *status;
  Rewritten& rewritten = std::get<Rewritten>(result);
  const auto fail = [&](const Error& error) {
    complain("{}; nothing was written", error.message);
    return input_fault;
  };
  if (options.flags.verify == "final")
    if (const Status agreed =
            compare_with_original(options.model, rewritten.model, options.flags.seed);
        !agreed)
      return fail(agreed.error());
  const auto backend = backend_options(options, rewritten.rules);
  if (!backend) return fail(backend.error());
  Progress building("building");
  std::vector<std::string> warnings;
  infer_types(rewritten.model, warnings);
  auto built = build_engine(rewritten.model, *backend);
  if (!built) return fail(make_error("{}: {}", options.model, built.error().message));
  const double seconds = building.seconds();
  warn(built->warnings);
  if (const Status status = write_file(options.out, built->bytes); !status)
    return fail(status.error());
  print_summary(options, rewritten, *built, seconds);
  if (!options.json && options.report.empty()) return done;
  const std::string json = build_report(options, rewritten, *built, seconds);
  if (options.json) ::fmt::print("{}", json);
  if (!options.report.empty())
    if (const Status status = write_file(options.report, json); !status) {
      complain("{}", status.error().message);
      return input_fault;
    }
  return done;
}

}  // namespace rulec::command
