// SPDX-License-Identifier: Apache-2.0
#include "support/golden.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <vector>

namespace rulec::golden {

namespace fs = std::filesystem;

static constexpr std::string_view marker = "#! ";
using ByLine = std::map<std::uint32_t, std::vector<std::string>>;

static std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

static void write(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

static std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    auto end = std::min(text.find('\n'), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

static ByLine expected(const Source& source) {
  ByLine out;
  std::uint32_t number = 0;
  for (const auto& line : lines_of(source.text())) {
    ++number;
    for (auto at = line.find(marker); at != line.npos;) {
      auto next = line.find(marker, at + 1);
      auto text = line.substr(at + marker.size(), next - at - marker.size());
      text.erase(text.find_last_not_of(' ') + 1);
      out[number].push_back(text);
      at = next;
    }
  }
  return out;
}

static ByLine reported(const Source& source, const Diagnostics& diagnostics) {
  ByLine out;
  for (const auto& each : diagnostics.all())
    out[source.locate(each.span.begin).line].push_back(
        fmt::format("{}: {} [{}]", spelling(each.severity), each.text(), spelling(each.kind)));
  return out;
}

static std::string annotate(const Source& source, const ByLine& found) {
  std::string out;
  std::uint32_t number = 0;
  for (auto line : lines_of(source.text())) {
    line.erase(std::min(line.size(), line.find(marker)));
    line.erase(line.find_last_not_of(' ') + 1);
    out += line;
    if (auto it = found.find(++number); it != found.end())
      for (const auto& text : it->second)
        out += fmt::format("  {}{}", marker, text);
    out += '\n';
  }
  return out;
}

// Returns the number of differences.
static int compare(const fs::path& path, ByLine want, ByLine got) {
  int differences = 0;
  for (const auto& [line, texts] : want)
    for (const auto& text : texts) {
      auto& here = got[line];
      auto at = std::find(here.begin(), here.end(), text);
      if (at != here.end()) {
        here.erase(at);
        continue;
      }
      fmt::print("{}:{}: expected but not reported: {}\n", path.string(), line, text);
      ++differences;
    }
  for (const auto& [line, texts] : got)
    for (const auto& text : texts) {
      fmt::print("{}:{}: reported but not expected: {}\n", path.string(), line, text);
      ++differences;
    }
  return differences;
}

static int run_file(const fs::path& path, const std::string& extension, const Phase& phase,
                    bool bless) {
  Source source(path.filename().string(), read(path));
  Diagnostics diagnostics;
  auto dump = phase(source, diagnostics);
  auto got = reported(source, diagnostics);
  auto dump_path = fs::path(path).replace_extension(extension);
  if (bless) {
    // Printing a diagnostic moves none: annotations are comments.
    if (auto text = annotate(source, got); text != source.text()) write(path, text);
    if (!dump.empty()) write(dump_path, dump);
    return 0;
  }
  int differences = compare(path, expected(source), got);
  bool fails = path.filename().string().starts_with("fail_");
  if (fails != diagnostics.has_errors()) {
    fmt::print("{}: a file is called fail_… if and only if it expects an error\n", path.string());
    ++differences;
  }
  if (!dump.empty() && read(dump_path) != dump) {
    fmt::print("{}: differs from\n{}", dump_path.string(), dump);
    ++differences;
  }
  return differences;
}

int run_folder(const std::string& folder, const std::string& extension, const Phase& phase) {
  bool bless = std::getenv("RULEC_BLESS") != nullptr;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".rules") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  int differences = 0;
  for (const auto& file : files)
    differences += run_file(file, extension, phase, bless);
  fmt::print("{}: {} files, {} differences\n", folder, files.size(), differences);
  return files.empty() || differences != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

}  // namespace rulec::golden
