// SPDX-License-Identifier: Apache-2.0
#include "tests/support/rewriting.h"

#include <gtest/gtest.h>

#include "matcher/onnx_io.h"

namespace rulec::test {

Model model_of(const std::string& graph, int opset) {
  auto model =
      import_onnx_text(fmt::format("<ir_version: 8, opset_import: [\"\" : {}]>\n{}", opset, graph));
  if (!model) {
    ADD_FAILURE() << model.error().message;
    return {};
  }
  for (const NodeId node : model->nodes(model->main())) {
    std::string& name = model->node(node).name;
    for (std::size_t at = name.find("__"); at != name.npos; at = name.find("__"))
      name.replace(at, 2, "/");
  }
  std::vector<std::string> warnings;
  infer_types(*model, warnings);
  for (const std::string& warning : warnings)
    ADD_FAILURE() << warning;
  return std::move(*model);
}

CompiledRules rules_of(const std::string& text, const Situation& situation) {
  auto files = load_rule_text("test.rules", text, {RULEC_TEST_PRELUDE});
  if (!files) {
    ADD_FAILURE() << files.error().message;
    return {};
  }
  std::vector<std::string> errors;
  auto compiled = compile_rules(*files, {.situation = situation, .settings = {}}, errors);
  if (!compiled) {
    ADD_FAILURE() << files->render();
    return {};
  }
  return std::move(*compiled);
}

std::string ops_of(const Model& model, GraphId graph) {
  std::string out;
  for (const NodeId node : model.nodes(graph)) {
    if (!out.empty()) out += " ";
    out += model.node(node).type.str();
  }
  return out;
}

std::string Rewritten::ops() const {
  return ops_of(model, model.main());
}

std::string Rewritten::misses() const {
  std::string out;
  for (const NearMiss& miss : report.near_misses) {
    out += fmt::format("{}: {} / {}\n", miss.kind, miss.expected, miss.found);
  }
  return out;
}

Rewritten rewritten(const std::string& graph, const std::string& rules, int opset,
                    const RewriteOptions& options) {
  const CompiledRules compiled = rules_of(rules, options.situation);
  Rewritten out{model_of(graph, opset), {}, {}};
  auto report = rewrite(out.model, compiled.rules, compiled.ops, options);
  if (!report) {
    out.error = report.error().message;
    return out;
  }
  out.report = std::move(*report);
  const Status sound = out.model.verify();
  if (!sound) ADD_FAILURE() << sound.error().message << "\n" << dump(out.model);
  const Status checked = check_onnx(out.model);
  if (!checked) ADD_FAILURE() << checked.error().message << "\n" << dump(out.model);
  return out;
}

std::size_t firings(const std::string& graph, const std::string& rule, int opset) {
  const auto out = rewritten(graph, rule, opset);
  EXPECT_EQ(out.error, "") << rule;
  return out.report.firings.size();
}

}  // namespace rulec::test
