// SPDX-License-Identifier: Apache-2.0
#pragma once

// A name that repeats all over a model ("Conv", "com.microsoft"), kept once for the whole process:
// as small as a pointer, compared as one. Not for names of values, which are all different.
//
//   Symbol type("Conv");
//   if (node.type == "Conv") …

#include <string>
#include <string_view>

#include <fmt/format.h>

namespace rulec {

class Symbol {
 public:
  Symbol();
  Symbol(std::string_view text);
  Symbol(const std::string& text) : Symbol(std::string_view(text)) {}
  Symbol(const char* text) : Symbol(std::string_view(text)) {}
  Symbol(const Symbol&) = default;
  Symbol& operator=(const Symbol&) = default;

  const std::string& str() const { return *text_; }
  operator const std::string&() const { return *text_; }
  operator std::string_view() const { return *text_; }
  bool empty() const { return text_->empty(); }
  bool starts_with(std::string_view prefix) const { return text_->starts_with(prefix); }
  bool ends_with(std::string_view suffix) const { return text_->ends_with(suffix); }
  const char* c_str() const { return text_->c_str(); }

  friend bool operator==(const Symbol& a, const Symbol& b) { return a.text_ == b.text_; }
  friend bool operator==(const Symbol& a, std::string_view b) { return *a.text_ == b; }
  friend bool operator==(const Symbol& a, const std::string& b) { return *a.text_ == b; }
  friend bool operator==(const Symbol& a, const char* b) { return *a.text_ == b; }
  friend auto operator<=>(const Symbol& a, const Symbol& b) { return *a.text_ <=> *b.text_; }

 private:
  const std::string* text_;
};

}  // namespace rulec

template <>
struct fmt::formatter<rulec::Symbol> : fmt::formatter<std::string_view> {
  auto format(const rulec::Symbol& symbol, fmt::format_context& ctx) const {
    return fmt::formatter<std::string_view>::format(symbol.str(), ctx);
  }
};

template <>
struct std::hash<rulec::Symbol> {
  std::size_t operator()(const rulec::Symbol& symbol) const noexcept {
    return std::hash<const void*>()(&symbol.str());
  }
};
