// SPDX-License-Identifier: Apache-2.0
#include "compiler/package/manifest.h"

#include <algorithm>

#include "compiler/package/toml.h"
#include "compiler/sha256.h"
#include "matcher/edit_distance.h"

namespace rulec {

namespace fs = std::filesystem;

std::string PackageSource::text() const {
  switch (kind) {
    case Kind::Library:
      return "library";
    case Kind::Path:
      return "path:" + place;
    case Kind::Git:
      return fmt::format("git:{}#{}{}{}", place, revision, folder.empty() ? "" : ":", folder);
    case Kind::Index:
      return "index:" + place;
  }
  return "";
}

static Result<Dependency> dependency_of(const std::string& name, const TomlValue& value,
                                        const std::string& file) {
  Dependency out;
  out.name = name;
  std::string range;
  if (const std::string* text = value.string()) {
    range = *text;
  } else if (value.table() != nullptr) {
    range = value.text("version");
    for (const auto& [key, entry] : *value.table()) {
      if (key == "path")
        out.source = {PackageSource::Kind::Path, value.text(key), "", ""};
      else if (key == "git")
        out.source = {PackageSource::Kind::Git, value.text(key), value.text("rev"),
                      value.text("folder")};
      else if (key == "index")
        out.source = {PackageSource::Kind::Index, value.text(key), "", ""};
      else if (key != "version" && key != "rev" && key != "folder")
        return make_error(
            "{}:{}: a dependency has no `{}`; it has version, path, git, rev, folder and index",
            file, entry.line, key);
    }
  } else {
    return make_error("{}:{}: `{}` needs a range of versions, or a table with a source", file,
                      value.line, name);
  }
  auto parsed = parse_range(range);
  if (!parsed) return make_error("{}:{}: {}", file, value.line, parsed.error().message);
  out.range = std::move(*parsed);
  return out;
}

Result<Manifest> read_manifest(const fs::path& folder) {
  const fs::path path = folder / manifest_name;
  auto toml = read_toml(path);
  if (!toml) return toml.error();
  static constexpr std::string_view known[] = {"name",    "version",     "rulec",       "opset",
                                               "license", "description", "dependencies"};
  for (const auto& [key, value] : *toml->table()) {
    if (std::find(std::begin(known), std::end(known), key) != std::end(known)) continue;
    const std::vector<std::string> names(std::begin(known), std::end(known));
    const std::string near = nearest_name(key, names);
    return make_error("{}:{}: a manifest has no `{}`{}", path.string(), value.line, key,
                      near.empty() ? "" : fmt::format("; did you mean `{}`?", near));
  }
  Manifest out;
  out.folder = folder;
  out.name = toml->text("name");
  out.license = toml->text("license");
  out.description = toml->text("description");
  if (out.name.empty())
    return make_error("{}: it has no name; write name = \"acme.detect\"", path.string());
  auto version = parse_version(toml->text("version"));
  if (!version) return make_error("{}: {}", path.string(), version.error().message);
  out.version = std::move(*version);
  for (auto [key, range] : {std::pair{"rulec", &out.rulec}, std::pair{"opset", &out.opset}}) {
    auto parsed = parse_range(toml->text(key));
    if (!parsed) return make_error("{}: {}: {}", path.string(), key, parsed.error().message);
    *range = std::move(*parsed);
  }
  if (const TomlValue* dependencies = toml->find("dependencies")) {
    if (dependencies->table() == nullptr)
      return make_error("{}:{}: `dependencies` is a table: [dependencies]", path.string(),
                        dependencies->line);
    for (const auto& [name, value] : *dependencies->table()) {
      auto dependency = dependency_of(name, value, path.string());
      if (!dependency) return dependency.error();
      out.dependencies.push_back(std::move(*dependency));
    }
  }
  return out;
}

std::string to_toml(const Dependency& dependency) {
  const PackageSource& source = dependency.source;
  const std::string range = dependency.range.text.empty() ? "*" : dependency.range.text;
  const std::string name = toml_string(dependency.name);
  if (source.kind == PackageSource::Kind::Library)
    return fmt::format("{} = {}", name, toml_string(range));
  const char* key = source.kind == PackageSource::Kind::Path  ? "path"
                    : source.kind == PackageSource::Kind::Git ? "git"
                                                              : "index";
  std::string out = fmt::format("{} = {{ {} = {}", name, key, toml_string(source.place));
  if (!source.revision.empty()) out += fmt::format(", rev = {}", toml_string(source.revision));
  if (!source.folder.empty()) out += fmt::format(", folder = {}", toml_string(source.folder));
  return out + fmt::format(", version = {} }}", toml_string(range));
}

std::string with_dependency(const std::string& manifest, const Dependency& dependency) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < manifest.size();) {
    const std::size_t end = std::min(manifest.find('\n', at), manifest.size());
    lines.push_back(manifest.substr(at, end - at));
    at = end + 1;
  }
  const auto trimmed = [](std::string_view line) {
    const std::size_t begin = line.find_first_not_of(" \t");
    return begin == line.npos ? std::string_view() : line.substr(begin);
  };
  auto section = std::find_if(lines.begin(), lines.end(), [&](const std::string& line) {
    return trimmed(line).starts_with("[dependencies]");
  });
  if (section == lines.end()) {
    lines.push_back("");
    lines.push_back("[dependencies]");
    section = lines.end() - 1;
  }
  auto end = std::find_if(section + 1, lines.end(),
                          [&](const std::string& line) { return trimmed(line).starts_with("["); });
  for (auto line = section + 1; line != end; ++line) {
    std::string_view key = trimmed(*line);
    if (key.starts_with("\"")) key.remove_prefix(1);
    if (!key.starts_with(dependency.name)) continue;
    key.remove_prefix(dependency.name.size());
    if (!key.starts_with("\"") && !key.starts_with(" ") && !key.starts_with("=")) continue;
    *line = to_toml(dependency);
    return fmt::format("{}\n", fmt::join(lines, "\n"));
  }
  while (end != section + 1 && trimmed(*(end - 1)).empty())
    --end;
  lines.insert(end, to_toml(dependency));
  return fmt::format("{}\n", fmt::join(lines, "\n"));
}

std::vector<fs::path> package_files(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code code;
  for (fs::recursive_directory_iterator it(folder, code), end; !code && it != end;
       it.increment(code)) {
    const std::string name = it->path().filename().string();
    if (it->is_directory(code)) {
      if (name == "vendor" || name.starts_with(".") || fs::exists(it->path() / manifest_name, code))
        it.disable_recursion_pending();
      continue;
    }
    if (name == manifest_name ? it.depth() == 0 : it->path().extension() == ".rules")
      out.push_back(it->path().lexically_relative(folder));
  }
  std::sort(out.begin(), out.end());
  return out;
}

Result<std::string> package_hash(const fs::path& folder) {
  std::string all;
  for (const fs::path& file : package_files(folder)) {
    auto digest = sha256_of_file(folder / file);
    if (!digest) return digest.error();
    all += fmt::format("{}  {}\n", *digest, file.generic_string());
  }
  return "sha256:" + sha256(std::as_bytes(std::span(all)));
}

}  // namespace rulec
