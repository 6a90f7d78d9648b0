// SPDX-License-Identifier: Apache-2.0
// Diagnostics for machines. Text that is not UTF-8 is shown with replacement characters, never
// refused: the message that says so must get through.
#include <set>

#include <nlohmann/json.hpp>

#include "grammar/diagnostic.h"

namespace rulec {

using Json = nlohmann::ordered_json;

static std::string write(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

static Json place(const Source& source, Span span) {
  auto begin = source.locate(span.begin);
  auto end = source.locate(std::max(span.begin, span.end));
  return {{"file", source.name()},
          {"line", begin.line},
          {"column", begin.column},
          {"end_line", end.line},
          {"end_column", end.column}};
}

std::string render_json(const Source& source, const Diagnostics& diagnostics) {
  Json list = Json::array();
  for (const auto& diagnostic : diagnostics.all()) {
    const Source& home = diagnostic.source ? *diagnostic.source : source;
    Json entry = place(home, diagnostic.span);
    entry["severity"] = spelling(diagnostic.severity);
    entry["kind"] = spelling(diagnostic.kind);
    entry["message"] = diagnostic.message;
    if (!diagnostic.suggestion.empty()) entry["suggestion"] = diagnostic.suggestion;
    entry["notes"] = Json::array();
    for (const auto& note : diagnostic.notes) {
      Json shown = place(note.source ? *note.source : home, note.span);
      shown["message"] = note.message;
      entry["notes"].push_back(std::move(shown));
    }
    list.push_back(std::move(entry));
  }
  return write({{"diagnostics", std::move(list)}});
}

// A URI reference: what is not plain in a path is percent-encoded.
static std::string uri(std::string_view path) {
  std::string out;
  for (char c : path) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 std::string_view("-._~/").find(c) != std::string_view::npos;
    if (plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

static Json sarif_location(const Source& source, Span span) {
  auto begin = source.locate(span.begin);
  auto end = source.locate(std::max(span.begin, span.end));
  return {{"physicalLocation",
           {{"artifactLocation", {{"uri", uri(source.name())}}},
            {"region",
             {{"startLine", begin.line},
              {"startColumn", begin.column},
              {"endLine", end.line},
              {"endColumn", end.column}}}}}};
}

std::string render_sarif(const Source& source, const Diagnostics& diagnostics) {
  Json results = Json::array();
  std::set<std::string_view> kinds;
  for (const auto& diagnostic : diagnostics.all()) {
    const Source& home = diagnostic.source ? *diagnostic.source : source;
    kinds.insert(spelling(diagnostic.kind));
    Json related = Json::array();
    for (const auto& note : diagnostic.notes) {
      Json shown = sarif_location(note.source ? *note.source : home, note.span);
      shown["message"] = {{"text", note.message}};
      related.push_back(std::move(shown));
    }
    Json result = {{"ruleId", spelling(diagnostic.kind)},
                   {"level", spelling(diagnostic.severity)},
                   {"message", {{"text", diagnostic.text()}}},
                   {"locations", Json::array({sarif_location(home, diagnostic.span)})}};
    if (!related.empty()) result["relatedLocations"] = std::move(related);
    results.push_back(std::move(result));
  }
  Json rules = Json::array();
  for (auto kind : kinds)
    rules.push_back({{"id", kind}});
  Json driver = {{"name", "rulec"}, {"rules", std::move(rules)}};
  Json run = {{"tool", {{"driver", std::move(driver)}}},
              {"columnKind", "unicodeCodePoints"},
              {"results", std::move(results)}};
  return write({{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                {"version", "2.1.0"},
                {"runs", Json::array({std::move(run)})}});
}

}  // namespace rulec
