// SPDX-License-Identifier: Apache-2.0
#include "compiler/package/toml.h"

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "matcher/file.h"

namespace rulec {

const TomlValue* TomlValue::find(std::string_view key) const {
  const Table* entries = table();
  if (entries == nullptr) return nullptr;
  const auto found = entries->find(key);
  return found == entries->end() ? nullptr : &found->second;
}

std::string TomlValue::text(std::string_view key) const {
  const TomlValue* value = find(key);
  return value != nullptr && value->string() != nullptr ? *value->string() : "";
}

static TomlValue taken(const toml::node& node) {
  TomlValue out;
  out.line = node.source().begin.line;
  if (const auto* text = node.as_string())
    out.data = text->get();
  else if (const auto* whole = node.as_integer())
    out.data = whole->get();
  else if (const auto* number = node.as_floating_point())
    out.data = number->get();
  else if (const auto* truth = node.as_boolean())
    out.data = truth->get();
  else if (const auto* array = node.as_array()) {
    TomlValue::List list;
    for (const toml::node& item : *array)
      list.push_back(taken(item));
    out.data = std::move(list);
  } else if (const auto* table = node.as_table()) {
    TomlValue::Table entries;
    for (const auto& [key, value] : *table)
      entries.emplace(std::string(key.str()), taken(value));
    out.data = std::move(entries);
  }
  return out;
}

Result<TomlValue> parse_toml(std::string_view text, const std::string& name) {
  const toml::parse_result parsed = toml::parse(text, name);
  if (!parsed)
    return make_error("{}:{}: {}", name, parsed.error().source().begin.line,
                      parsed.error().description());
  return taken(parsed.table());
}

Result<TomlValue> read_toml(const std::filesystem::path& path) {
  auto file = MappedFile::open(path);
  if (!file) return file.error();
  return parse_toml((*file)->bytes(), path.string());
}

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace rulec
