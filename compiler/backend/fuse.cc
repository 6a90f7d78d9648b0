// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/fuse.h"

#include <algorithm>
#include <map>

#include "compiler/compile.h"
#include "compiler/library_path.h"
#include "compiler/rule_files.h"
#include "matcher/rewrite.h"

namespace rulec::backend {

namespace {
struct LoweringRules {
  RuleFiles files;  // the compiled rules' places point into them
  CompiledRules compiled;
};
}  // namespace

static Result<LoweringRules> load() {
  // The shipped ones only: what an engine is made with is not a matter of RULEC_PATH.
  auto files = load_rule_files({"lower"}, library_rule_path());
  if (!files) return files.error();
  LoweringRules rules{std::move(*files), {}};
  CompileOptions options;
  std::vector<std::string> wrong;
  auto compiled = compile_rules(rules.files, options, wrong);
  if (!compiled || !wrong.empty()) {
    return make_error("the rules of package lower are wrong:\n{}{}", rules.files.render(),
                      fmt::join(wrong, "\n"));
  }
  rules.compiled = std::move(*compiled);
  return rules;
}

static const Result<LoweringRules>& lowering_rules() {
  static const Result<LoweringRules> loaded = load();
  return loaded;
}

static void collect_roots(const RuleSet& rules, PatternId id, std::vector<OpName>& out) {
  const Pattern& pattern = rules[id];
  out.insert(out.end(), pattern.ops.begin(), pattern.ops.end());
  if (pattern.kind != Pattern::Kind::Either) return;
  for (const PatternId child : pattern.children)
    collect_roots(rules, child, out);
}

Result<std::vector<OpName>> fused_operators() {
  const auto& loaded = lowering_rules();
  if (!loaded) return loaded.error();
  std::vector<OpName> out;
  const RuleSet& rules = loaded->compiled.rules;
  for (const Rule& rule : rules.rules) {
    if (rule.package == "lower" && !rule.root.patterns.empty())
      collect_roots(rules, rule.root.patterns.front(), out);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Status fuse(Model& model, std::vector<BuiltNode>& report) {
  const auto& loaded = lowering_rules();
  if (!loaded) return loaded.error();
  const CompiledRules& compiled = loaded->compiled;
  std::map<std::string, std::string> types;  // of nodes, by name
  for (std::uint32_t i = 0; i < model.node_capacity(); ++i) {
    const GraphNode& n = model.node(NodeId{i});
    if (n.alive) types.emplace(n.name, n.type.str());
  }
  RewriteOptions options;
  options.verify = Verify::Off;  // there are no templates among them
  options.near_misses = false;
  const auto rewritten = rewrite(model, compiled.rules, compiled.ops, options);
  if (!rewritten) return rewritten.error();
  for (const Firing& firing : rewritten->firings) {
    const std::string& rule = compiled.rules[firing.rule].name;
    for (const std::string& name : firing.removed) {
      const auto type = types.find(name);
      if (type == types.end()) continue;  // made by an earlier firing
      report.push_back({name, type->second, "",
                        fmt::format("fused into {} by {}", fmt::join(firing.added, ", "), rule)});
    }
  }
  return Done{};
}

}  // namespace rulec::backend
