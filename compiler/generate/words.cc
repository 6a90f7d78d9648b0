// SPDX-License-Identifier: Apache-2.0
#include "compiler/generate/words.h"

namespace rulec {
namespace {

// The literals that a rule's patterns and expressions hold.
class WordReader {
 public:
  WordReader(const RuleSet& rules, Words& out) : rules_(rules), out_(out) {}

  void pattern(PatternId id) {
    if (!id) return;
    const Pattern& at = rules_[id];
    if (at.kind == Pattern::Kind::Literal) literal(at.literal);
    for (const PatternId child : at.children)
      pattern(child);
    for (const AttributePattern& attribute : at.attributes)
      expression(attribute.equals);
    for (const ExprId predicate : at.predicates)
      expression(predicate);
  }

  void expression(ExprId id) {
    if (!id) return;
    const Expr& at = rules_[id];
    if (at.kind == Expr::Kind::Literal) literal(at.literal);
    if (at.kind == Expr::Kind::DType) out_.integers.push_back(static_cast<std::int64_t>(at.dtype));
    pattern(at.pattern);
    for (const PatternId of_body : at.patterns)
      pattern(of_body);
    std::vector<std::int64_t> list;
    for (const ExprId operand : at.operands) {
      expression(operand);
      if (at.kind != Expr::Kind::List || !operand) continue;
      if (const auto* i = std::get_if<std::int64_t>(&rules_[operand].literal.value))
        list.push_back(*i);
    }
    if (at.kind == Expr::Kind::List && !list.empty() && list.size() == at.operands.size())
      out_.lists.push_back(std::move(list));
  }

 private:
  void literal(const Literal& at) {
    if (const auto* i = std::get_if<std::int64_t>(&at.value)) out_.integers.push_back(*i);
    if (const auto* d = std::get_if<double>(&at.value)) out_.numbers.push_back(*d);
    if (const auto* s = std::get_if<std::string>(&at.value)) out_.strings.push_back(*s);
    if (const auto* list = std::get_if<std::vector<Literal>>(&at.value)) {
      std::vector<std::int64_t> integers;
      for (const Literal& item : *list) {
        if (const auto* i = std::get_if<std::int64_t>(&item.value))
          integers.push_back(*i);
        else
          literal(item);
      }
      if (integers.size() == list->size()) out_.lists.push_back(std::move(integers));
    }
  }

  const RuleSet& rules_;
  Words& out_;
};

}  // namespace

Words words_of(const RuleSet& rules, const Rule& rule) {
  Words out;
  WordReader reader(rules, out);
  for (const PatternId id : rule.root.patterns)
    reader.pattern(id);
  for (const ExprId guard : rule.where)
    reader.expression(guard);
  return out;
}

}  // namespace rulec
