// SPDX-License-Identifier: Apache-2.0
// One set of strings for the process, never freed: its size is that of the operators' names.
#include "matcher/symbol.h"

#include <mutex>
#include <unordered_set>

namespace rulec {

namespace {

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>()(text);
  }
};

struct Pool {
  std::mutex mutex;
  std::unordered_set<std::string, TextHash, std::equal_to<>> texts;
};

}  // namespace

static const std::string* intern(std::string_view text) {
  static Pool* const pool = new Pool;
  const std::lock_guard lock(pool->mutex);
  auto at = pool->texts.find(text);
  if (at == pool->texts.end()) at = pool->texts.emplace(text).first;
  return &*at;
}

static const std::string* no_text() {
  static const std::string* const empty = intern("");
  return empty;
}

Symbol::Symbol() : text_(no_text()) {}

Symbol::Symbol(std::string_view text) : text_(text.empty() ? no_text() : intern(text)) {}

}  // namespace rulec
