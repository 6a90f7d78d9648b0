// SPDX-License-Identifier: Apache-2.0
// What a name means where it stands: which files see one another, behind which prefix, and what
// they keep to themselves.
#include <algorithm>

#include "compiler/resolver.h"

namespace rulec {

const Declared* Resolver::package(std::string_view name) const {
  for (const Declared& file : declared_)
    if (file.file && files_.files[file.index].package == name) return &file;
  return nullptr;
}

std::vector<const Declared*> Resolver::visible() const {
  std::vector<const Declared*> out = {current_};
  for (std::size_t import : files_.files[current_->index].imports)
    if (declared_[import].file || declared_[import].dormant) out.push_back(&declared_[import]);
  if (const std::string& own = files_.files[current_->index].package; !own.empty())
    for (const Declared& file : declared_)
      if (&file != current_ && file.file && files_.files[file.index].package == own)
        out.push_back(&file);
  return out;
}

std::vector<const Declared*> Resolver::behind(std::string_view prefix) const {
  std::vector<const Declared*> out;
  const RuleFile& here = files_.files[current_->index];
  const auto alias = here.aliases.find(prefix);
  for (const std::size_t import : alias != here.aliases.end() ? alias->second : here.imports)
    if (declared_[import].file &&
        (alias != here.aliases.end() || files_.files[import].package == prefix))
      out.push_back(&declared_[import]);
  return out;
}

std::pair<std::string_view, std::vector<const Declared*>> Resolver::places_of(
    std::string_view name) const {
  const std::size_t dot = name.rfind('.');
  if (dot == name.npos) return {name, visible()};
  return {name.substr(dot + 1), behind(name.substr(0, dot))};
}

// Names that begin with `_` are for the files of their package.
bool Resolver::is_private(const Declared& file, std::string_view name) const {
  if (&file == current_ || !name.starts_with('_')) return false;
  const std::string& own = files_.files[current_->index].package;
  return own.empty() || files_.files[file.index].package != own;
}

bool Resolver::is_hidden(std::string_view name) const {
  const auto [last, files] = places_of(name);
  return std::any_of(files.begin(), files.end(), [&, word = last](const Declared* file) {
    return is_private(*file, word) &&
           (file->predicates.contains(word) || file->templates.contains(word));
  });
}

std::optional<std::pair<ast::Name, std::size_t>> Resolver::qualified(
    const ast::Postfix& postfix) const {
  const auto* head = std::get_if<ast::Name>(&postfix.base->value);
  if (head == nullptr || scope_.names.contains(head->text)) return std::nullopt;
  std::string prefix = head->text;
  for (std::size_t i = 0; i < postfix.suffixes.size(); ++i) {
    const auto* member = std::get_if<ast::Member>(&postfix.suffixes[i]);
    if (member == nullptr) break;
    const std::string whole = prefix + "." + member->name.text;
    if (!behind(prefix).empty())
      return std::pair{ast::Name{whole, {head->span.begin, member->name.span.end}}, i + 1};
    prefix = whole;
  }
  return std::nullopt;
}

const ast::Predicate* Resolver::find_predicate(std::string_view name,
                                               const Declared** owner) const {
  const auto [last, files] = places_of(name);
  for (const Declared* file : files)
    if (auto found = file->predicates.find(last);
        found != file->predicates.end() && !is_private(*file, last)) {
      *owner = file;
      return found->second;
    }
  return nullptr;
}

std::optional<TemplateId> Resolver::find_template(std::string_view name) const {
  const auto [last, files] = places_of(name);
  for (const Declared* file : files)
    if (auto found = file->templates.find(last);
        found != file->templates.end() && !is_private(*file, last))
      return found->second;
  return std::nullopt;
}

const ParamValue* Resolver::find_param(std::string_view name) const {
  const auto found = current_->params.find(name);
  return found == current_->params.end() ? nullptr : &found->second;
}

}  // namespace rulec
