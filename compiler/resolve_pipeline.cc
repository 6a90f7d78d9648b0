// SPDX-License-Identifier: Apache-2.0
// Edits, and the phases that the requested files amount to.
#include <algorithm>

#include "compiler/overloaded.h"
#include "compiler/resolver.h"
#include "matcher/edit_distance.h"
#include "matcher/target.h"

namespace rulec {

void Resolver::resolve_edit(const ast::Edit& source, Declared& file) {
  Edit out;
  out.name = source.name ? source.name->text : "";
  out.place = place(source.span);
  scope_ = {};
  scope_.slots = &out.slots;
  for (const ast::Change& change : source.changes) {
    Edit::Change to;
    std::visit(
        Overloaded{
            [&](const ast::InputChange& input) {
              Edit::Input edit;
              edit.glob = input.glob.value;
              const auto symbols = [](const ast::Type& type) {
                std::vector<std::string> names;
                for (const ast::Dims& dims : type.shapes)
                  for (const ast::Dim& dim : dims.dims)
                    names.push_back(dim.form == ast::Dim::Form::Named ? dim.text : "");
                return names;
              };
              if (input.replaced) {
                if (input.type) edit.from = resolve_type(*input.type);
                edit.to_name = input.replaced->name.value;
                if (input.replaced->type) {
                  edit.to = resolve_type(*input.replaced->type);
                  edit.to_symbols = symbols(*input.replaced->type);
                }
              } else if (input.type) {
                edit.to = resolve_type(*input.type);
                edit.to_symbols = symbols(*input.type);
              }
              to.place = place(input.span);
              to.what = std::move(edit);
            },
            [&](const ast::DimChange& dim) {
              to.place = place(dim.span);
              const auto value = constant_value(resolve_expr(dim.value, Where::Constant));
              const auto* size = value ? std::get_if<std::int64_t>(&value->value) : nullptr;
              if (!size || *size < 0)
                diagnostics().error(DiagnosticKind::NotConstant, dim.value.span,
                                    "the size of dimension `{}` is not a constant int ≥ 0",
                                    dim.dim.text);
              to.what = Edit::Dimension{dim.dim.text, size ? *size : 0};
            },
            [&](const ast::OutputsChange& outputs) {
              Edit::Outputs edit;
              for (const ast::NameOrString& name : outputs.outputs)
                edit.names.push_back(name.text);
              to.place = place(outputs.span);
              to.what = std::move(edit);
            },
            [&](const ast::OutputChange& output) {
              to.place = place(output.span);
              to.what = Edit::Expose{output.name.value, output.last, resolve_node(output.node)};
            },
            [&](const ast::RenameChange& rename) {
              to.place = place(rename.span);
              to.what = Edit::Rename{rename.input, rename.from.value, rename.to.value};
            },
            [&](const ast::OpsetChange& opset) {
              to.place = place(opset.span);
              to.what = Edit::Opset{static_cast<int>(opset.opset.as_int().value_or(0))};
            }},
        change);
    out.changes.push_back(std::move(to));
  }
  const std::size_t index = out_.rules.edits.size();
  out_.rules.edits.push_back(std::move(out));
  if (source.name)
    file.edits.emplace(source.name->text, index);
  else
    file.unnamed_edits.push_back(index);
}

// The requested files, in the order of -r: those without a pipeline share one phase with their
// neighbours of that kind, a file's pipeline makes the phases of its steps.
void Resolver::resolve_phases() {
  std::vector<const Declared*> plain;
  const auto flush = [&] {
    if (plain.empty()) return;
    Phase edits, rules;
    for (const Declared* file : plain) {
      edits.edits.insert(edits.edits.end(), file->unnamed_edits.begin(), file->unnamed_edits.end());
      for (RuleId id : file->all_rules)
        if (applies(file->targets)) rules.rules.push_back(id);
    }
    edits.name = "edit";
    rules.name = "rules";
    edits.place = rules.place = plain.front()->all_rules.empty()
                                    ? Place{}
                                    : out_.rules[plain.front()->all_rules.front()].place;
    if (!edits.edits.empty()) out_.rules.phases.push_back(std::move(edits));
    if (!rules.rules.empty()) out_.rules.phases.push_back(std::move(rules));
    plain.clear();
  };
  for (Declared& file : declared_) {
    if (!file.file || !files_.files[file.index].requested) continue;
    current_ = &file;
    // A package that is asked for by its name is one file in this: its pipeline without a name.
    if (const Declared* owner = pipeline_of_package(file); owner != nullptr && owner != &file) {
      continue;
    }
    if (!file.unnamed_pipeline && file.pipelines.empty()) {
      plain.push_back(&file);
      continue;
    }
    flush();
    if (file.unnamed_pipeline) {
      add_pipeline(file, *file.unnamed_pipeline, 0);
    } else if (file.pipelines.size() == 1) {
      add_pipeline(file, *file.pipelines.begin()->second, 0);
    } else {
      std::vector<std::string> names;
      for (const auto& [name, pipeline] : file.pipelines)
        names.push_back(name);
      diagnostics().error(DiagnosticKind::AmbiguousPipeline, file.pipelines.begin()->second->span,
                          "of the pipelines {} none is without a name; rulec runs that one",
                          fmt::join(names, ", "));
    }
  }
  flush();
}

// The file with the pipeline without a name among the requested files of this file's package.
const Declared* Resolver::pipeline_of_package(const Declared& file) const {
  const std::string& package = files_.files[file.index].package;
  if (package.empty()) return nullptr;
  const auto found = std::find_if(declared_.begin(), declared_.end(), [&](const Declared& other) {
    return other.file && other.unnamed_pipeline && files_.files[other.index].requested &&
           files_.files[other.index].package == package;
  });
  return found == declared_.end() ? nullptr : &*found;
}

static constexpr int deepest_pipeline = 32;

void Resolver::add_pipeline(const Declared& file, const ast::Pipeline& pipeline, int depth) {
  if (depth > deepest_pipeline) {
    diagnostics().error(DiagnosticKind::PipelineCycle, pipeline.span,
                        "this pipeline runs itself, directly or through others");
    return;
  }
  for (const ast::Step& step : pipeline.steps)
    add_step(file, step, depth);
}

// A dotted name in a pipeline or a test: a rule, an edit, a pipeline of this file or of a package,
// or a whole package.
Resolver::Members Resolver::find_members(const Declared& file, std::string_view name) const {
  Members out;
  const auto of_file = [&](const Declared& owner, std::string_view member) {
    if (auto rule = owner.rules.find(member); rule != owner.rules.end()) {
      out.rules.push_back(rule->second);
    } else if (auto edit = owner.edits.find(member); edit != owner.edits.end()) {
      out.edits.push_back(edit->second);
    } else if (auto pipeline = owner.pipelines.find(member); pipeline != owner.pipelines.end()) {
      out.pipeline = pipeline->second;
      out.owner = &owner;
    } else {
      return false;
    }
    return out.found = true;
  };
  if (name == "edit") {
    out.edits = file.unnamed_edits;
    out.found = true;
    return out;
  }
  if (of_file(file, name)) return out;
  if (const auto pass = pass_named(name)) {
    out.passes.push_back(*pass);
    out.found = true;
    return out;
  }
  const std::string& own = files_.files[file.index].package;
  for (const Declared& other : declared_)
    if (!own.empty() && other.file && files_.files[other.index].package == own &&
        of_file(other, name))
      return out;
  // An alias stands for what it names; `_` names are for the files of their package.
  const RuleFile& here = files_.files[file.index];
  std::vector<std::pair<std::size_t, std::string>> imported;
  for (const auto& [alias, files] : here.aliases)
    for (const std::size_t import : files)
      imported.emplace_back(import, alias);
  for (const std::size_t import : here.imports)
    imported.emplace_back(import, files_.files[import].package);
  for (const auto& [import, package] : imported) {
    const Declared& owner = declared_[import];
    if (!owner.file || package.empty()) continue;
    if (name == package) {
      out.found = true;
      if (owner.unnamed_pipeline) {
        out.pipeline = owner.unnamed_pipeline;
        out.owner = &owner;
        out.rules.clear();
        return out;
      }
      out.rules.insert(out.rules.end(), owner.all_rules.begin(), owner.all_rules.end());
      continue;
    }
    if (!name.starts_with(package) || name.size() <= package.size() || name[package.size()] != '.')
      continue;
    const std::string_view member = name.substr(package.size() + 1);
    const bool hidden =
        member.starts_with('_') && (own.empty() || files_.files[import].package != own);
    if (!hidden && of_file(owner, member)) return out;
  }
  return out;
}

// All that a pipeline's steps name (rules, built-in phases, edits), as one phase: what joining it
// by a comma means. Its edits run before the rules, its expectations hold of the whole phase.
void Resolver::collect_steps(const Declared& file, const ast::Pipeline& pipeline, Phase& phase,
                             int depth) {
  if (depth > deepest_pipeline) return;
  Declared* caller = std::exchange(current_, const_cast<Declared*>(&file));  // for places
  for (const ast::Step& step : pipeline.steps)
    for (const ast::Step::Part& part : step.parts) {
      const Members members = find_members(file, part.name.text);
      phase.rules.insert(phase.rules.end(), members.rules.begin(), members.rules.end());
      phase.passes.insert(phase.passes.end(), members.passes.begin(), members.passes.end());
      phase.edits.insert(phase.edits.end(), members.edits.begin(), members.edits.end());
      if (part.expect && members.rules.size() == 1)
        phase.expect.emplace_back(members.rules.front(), resolve_bound(*part.expect));
      if (members.pipeline) collect_steps(*members.owner, *members.pipeline, phase, depth + 1);
    }
  current_ = caller;
}

void Resolver::add_step(const Declared& file, const ast::Step& step, int depth) {
  Declared* caller = std::exchange(current_, const_cast<Declared*>(&file));
  Phase phase;
  phase.place = place(step.span);
  for (const ast::Step::Part& part : step.parts) {
    phase.name += (phase.name.empty() ? "" : ", ") + part.name.text;
    const Members members = find_members(file, part.name.text);
    if (!members.found) {
      std::vector<std::string> known = {"edit"};
      known.insert(known.end(), std::begin(pass_names), std::end(pass_names));
      for (const auto& [name, id] : file.rules)
        known.push_back(name);
      for (const auto& [name, id] : file.edits)
        known.push_back(name);
      for (const auto& [name, pipeline] : file.pipelines)
        known.push_back(name);
      for (std::size_t import : files_.files[file.index].imports)
        if (const std::string& package = files_.files[import].package; !package.empty()) {
          known.push_back(package);
          for (const auto& [name, id] : declared_[import].rules)
            known.push_back(package + "." + name);
          for (const auto& [name, p] : declared_[import].pipelines)
            known.push_back(package + "." + name);
          if (const Outline* dormant = declared_[import].dormant)
            for (const auto* names : {&dormant->rules, &dormant->pipelines})
              for (const std::string_view name : *names)
                known.push_back(fmt::format("{}.{}", package, name));
        }
      const std::string near = nearest_name(part.name.text, known);
      diagnostics()
          .error(DiagnosticKind::UnknownName, part.name.span,
                 "`{}` is no rule, edit, pipeline or imported package", part.name.text)
          .suggest(near);
      continue;
    }
    if (members.edits.empty() && part.name.text == "edit")
      diagnostics().error(DiagnosticKind::UnknownName, part.name.span,
                          "this file has no edit without a name");
    std::vector<RuleId> rules = members.rules;
    if (members.pipeline) {
      if (step.parts.size() == 1 && !part.expect) {
        add_pipeline(*members.owner, *members.pipeline, depth + 1);
        current_ = caller;
        return;
      }
      const auto begin = static_cast<std::ptrdiff_t>(phase.rules.size());
      collect_steps(*members.owner, *members.pipeline, phase, depth + 1);
      rules.insert(rules.end(), phase.rules.begin() + begin, phase.rules.end());
    }
    phase.passes.insert(phase.passes.end(), members.passes.begin(), members.passes.end());
    if (part.expect) {
      if (rules.size() != 1)
        diagnostics().error(DiagnosticKind::BadExpect, part.span,
                            "`expect` counts the firings of one rule; `{}` is {} rules",
                            part.name.text, rules.size());
      else
        phase.expect.emplace_back(rules.front(), resolve_bound(*part.expect));
    }
    phase.rules.insert(phase.rules.end(), rules.begin(), rules.end());
    phase.edits.insert(phase.edits.end(), members.edits.begin(), members.edits.end());
  }
  current_ = caller;
  // One rule once, in its first place.
  std::vector<RuleId> unique;
  for (RuleId id : phase.rules)
    if (std::find(unique.begin(), unique.end(), id) == unique.end()) unique.push_back(id);
  phase.rules = std::move(unique);
  std::vector<Pass> passes;
  for (const Pass pass : phase.passes)
    if (std::find(passes.begin(), passes.end(), pass) == passes.end()) passes.push_back(pass);
  phase.passes = std::move(passes);
  out_.rules.phases.push_back(std::move(phase));
}

}  // namespace rulec
