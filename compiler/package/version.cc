// SPDX-License-Identifier: Apache-2.0
#include "compiler/package/version.h"

#include <algorithm>
#include <charconv>

#include "matcher/target.h"

namespace rulec {

static std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

Result<Version> parse_version(std::string_view text) {
  Version out;
  std::string_view rest = trimmed(text);
  while (true) {
    int number = 0;
    const auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (code != std::errc() || number < 0)
      return make_error("`{}` is no version; write it as in 1.2.0", text);
    out.push_back(number);
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    if (rest.empty()) return out;
    if (rest.front() != '.') return make_error("`{}` is no version; write it as in 1.2.0", text);
    rest.remove_prefix(1);
  }
}

std::string to_string(const Version& version) {
  return fmt::format("{}", fmt::join(version, "."));
}

bool VersionRange::holds(const Version& version) const {
  return std::all_of(bounds.begin(), bounds.end(), [&](const Bound& bound) {
    return rulec::holds(compare_versions(version, bound.version), bound.relation);
  });
}

// ^1.2 is everything that keeps what 1.2 promises: the first number that is not 0 stays.
static Version next_breaking(Version version) {
  std::size_t first = 0;
  while (first + 1 < version.size() && version[first] == 0)
    ++first;
  ++version[first];
  version.resize(first + 1);
  return version;
}

Result<VersionRange> parse_range(std::string_view text) {
  VersionRange out;
  out.text = std::string(trimmed(text));
  std::string_view rest = out.text;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    std::string_view part = trimmed(rest.substr(0, comma));
    rest = comma == rest.npos ? std::string_view() : rest.substr(comma + 1);
    if (part == "*") continue;
    std::string relation;
    for (const std::string_view known : {">=", "<=", "==", "!=", ">", "<", "=", "^"})
      if (part.starts_with(known)) {
        relation = std::string(known);
        part.remove_prefix(known.size());
        break;
      }
    auto version = parse_version(part);
    if (!version)
      return make_error("`{}` is no range of versions; write it as in \">= 1.2, < 2\" or \"^1.2\"",
                        text);
    if (relation == "^") {
      out.bounds.push_back({">=", *version});
      out.bounds.push_back({"<", next_breaking(*version)});
    } else {
      out.bounds.push_back({relation.empty() || relation == "=" ? "==" : relation, *version});
    }
  }
  return out;
}

}  // namespace rulec
