// SPDX-License-Identifier: Apache-2.0
#pragma once

// TOML files as plain data: what manifests, locks and indexes are read from. Dates are not known.
//
//   auto file = read_toml("rules.toml");
//   if (const TomlValue* name = file->find("name")) use(name->text());

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/result.h"

namespace rulec {

struct TomlValue {
  using List = std::vector<TomlValue>;
  using Table = std::map<std::string, TomlValue, std::less<>>;
  std::variant<std::string, std::int64_t, double, bool, List, Table> data;
  std::uint32_t line = 0;

  const TomlValue* find(std::string_view key) const;  // of a table; null where there is none
  std::string text(std::string_view key) const;       // of a table; empty where there is none
  const std::string* string() const { return std::get_if<std::string>(&data); }
  const List* list() const { return std::get_if<List>(&data); }
  const Table* table() const { return std::get_if<Table>(&data); }
};

// An Error says file and line.
Result<TomlValue> read_toml(const std::filesystem::path& path);
Result<TomlValue> parse_toml(std::string_view text, const std::string& name);

std::string toml_string(std::string_view text);  // in quotes

}  // namespace rulec
