// SPDX-License-Identifier: Apache-2.0
#pragma once

// The rule files of one run: those named with -r, what they import, and the prelude. Reads and
// parses, resolves nothing. A name with a `/` or ending in `.rules` is a file; any other is a
// package, looked up on the rule path: `tfod.efficientdet` is tfod/efficientdet.rules, or all rule
// files of the folder tfod/efficientdet. Files of one package see one another. Packages that a
// rules.lock beside the files (or above them) pins are loaded from where it says, their bytes
// checked.
//
// Of the prelude only those files are parsed that the others speak of (docs/adr/0022).

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/library_path.h"
#include "grammar/ast.h"
#include "grammar/diagnostic.h"
#include "grammar/outline.h"
#include "grammar/source.h"
#include "runtime/result.h"

namespace rulec {

struct RuleFile {
  std::filesystem::path path;
  std::string package;          // as its `package` line says; empty for a script
  std::string package_version;  // "1.2.0"
  std::string package_opset;    // the range that its manifest states; empty: any
  std::unique_ptr<Source> source;
  std::optional<ast::File> file;  // nothing when it did not parse, and while it is dormant
  bool dormant = false;           // of the prelude, and nothing speaks of it: it was not parsed
  Outline outline;                // of the prelude's files
  Diagnostics diagnostics;
  std::vector<std::size_t> imports;  // indices of the files it imports, prelude included
  std::map<std::string, std::vector<std::size_t>, std::less<>> aliases;  // `import … as name`
  bool requested = false;  // named with -r, not only imported
};

struct RuleFiles {
  // Imported files stand before the files that import them; the prelude's come first.
  std::vector<RuleFile> files;

  bool has_errors() const;
  // Every diagnostic of every file, rendered, in file order.
  std::string render() const;
  // Every diagnostic of every file in one list, each with its source.
  Diagnostics all_diagnostics() const;
};

// Loads `names` and all they import. An Error for a file or package that does not exist (with the
// places looked at, and a near name); what is wrong inside a file is in its diagnostics.
// `command_line` is rule text that the flags of a command stand for; it comes before `names`.
Result<RuleFiles> load_rule_files(const std::vector<std::string>& names,
                                  const std::vector<std::filesystem::path>& rule_path,
                                  const std::string& command_line = "");

// One file's text under a name, with the prelude: for tests, standard input and editors.
Result<RuleFiles> load_rule_text(std::string name, std::string text,
                                 const std::vector<std::filesystem::path>& rule_path);

}  // namespace rulec
