// SPDX-License-Identifier: Apache-2.0
#include "matcher/target.h"

#include <algorithm>
#include <charconv>

namespace rulec {

Result<Situation> parse_target(std::string_view text) {
  Situation out;
  const std::size_t at = text.find('@');
  out.target = std::string(text.substr(0, at));
  if (out.target.empty())
    return make_error("`{}` names no target; write, say, `tensorrt@8.5`", text);
  if (at == text.npos) return out;
  std::string_view rest = text.substr(at + 1);
  do {
    const std::size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    int number = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (error != std::errc() || end != part.data() + part.size() || number < 0)
      return make_error("`{}` is no version; write, say, `{}@8.5`", text.substr(at + 1),
                        out.target);
    out.target_version.push_back(number);
    rest = dot == rest.npos ? std::string_view() : rest.substr(dot + 1);
  } while (!rest.empty());
  return out;
}

int compare_versions(const std::vector<int>& a, const std::vector<int>& b) {
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const int left = i < a.size() ? a[i] : 0;
    const int right = i < b.size() ? b[i] : 0;
    if (left != right) return left < right ? -1 : 1;
  }
  return 0;
}

bool holds(int comparison, std::string_view relation) {
  if (relation == "==" || relation == "=") return comparison == 0;
  if (relation == "!=") return comparison != 0;
  if (relation == "<") return comparison < 0;
  if (relation == "<=") return comparison <= 0;
  if (relation == ">") return comparison > 0;
  return comparison >= 0;
}

bool in_range(const Situation& situation, const TargetRange& range) {
  if (range.name.empty()) return true;
  if (situation.target != range.name) return false;
  if (range.bounds.empty()) return true;
  if (situation.target_version.empty()) return false;
  return std::all_of(
      range.bounds.begin(), range.bounds.end(), [&](const TargetRange::Bound& bound) {
        return holds(compare_versions(situation.target_version, bound.version), bound.relation);
      });
}

}  // namespace rulec
