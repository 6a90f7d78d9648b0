// SPDX-License-Identifier: Apache-2.0
#pragma once

// The subcommands of `rulec` (docs/rulec.md is their contract). Each takes its parsed options and
// gives an exit status; results go to standard output, everything else to standard error.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace rulec::command {

// Exit statuses.
inline constexpr int done = 0;
inline constexpr int input_fault = 1;  // rules, model, engine, data; a failed expectation
inline constexpr int usage_fault = 2;  // the command line
inline constexpr int bug = 3;

// What choosing rules needs; shared by the commands that take -r.
struct RuleOptions {
  std::vector<std::string> rules;      // -r
  std::vector<std::string> rule_path;  // --rule-path
  std::vector<std::string> settings;   // --set name=value
  std::string target;                  // --target name[@version]
};

struct CheckOptions {
  RuleOptions rules;
  bool json = false, sarif = false;
};
int check(const CheckOptions& options);

struct FmtOptions {
  std::vector<std::string> files;
  bool check = false;
};
int fmt(const FmtOptions& options);

struct TestOptions {
  RuleOptions rules;
  std::string filter;
  std::uint64_t seed = 0;
  int instances = 6;  // generated for each rule; 0: only the written tests
  bool json = false;
};
int test(const TestOptions& options);

// What changes a model before anything else; shared by rewrite, explain and build.
struct RewriteFlags {
  RuleOptions rules;
  std::vector<std::string> allow;    // approx, unsafe
  std::string verify = "each";       // off, each, final
  std::vector<std::string> outputs;  // keep exactly these
  std::vector<std::string> inputs;   // 'PATTERN : TYPE [-> NAME : TYPE]'
  std::vector<std::string> dims;     // NAME=N
  std::vector<std::string> expect;   // RULE=N
  bool strict = false, keep_shapes = false;
  int opset = 0;
  std::uint64_t seed = 0;
  bool misses_of_fired = false;  // of explain: near misses of rules that fired, too
};

struct RewriteOptions {
  std::string model, out;
  RewriteFlags flags;
  std::string report, html;
  bool json = false, dry_run = false;
  std::string save_external;  // empty: not asked; "all", or a size in bytes
};
int rewrite(const RewriteOptions& options);

struct ExplainOptions {
  std::string model;
  RewriteFlags flags;
  std::string rule, node;
  std::string html;  // a page instead of text
  bool json = false;
};
int explain(const ExplainOptions& options);

struct InspectOptions {
  std::string file;
  bool ops = false, json = false;
};
int inspect(const InspectOptions& options);

struct PkgOptions {
  std::string action;         // init, add, lock, vendor, publish, diff
  std::string folder = ".";   // of the manifest
  std::string source, other;  // what is added; the index; both sides of a diff
  std::string name, range, revision, subfolder, corpus;
  std::vector<std::string> rule_path;
  bool check = false, json = false;
};
int pkg(const PkgOptions& options);
int package_diff(const PkgOptions& options);

struct DocOptions {
  RuleOptions rules;  // none: the library
  std::string out;    // empty: standard output
  bool check = false;
};
int doc(const DocOptions& options);

struct VerifyOptions {
  std::string a, b;
  bool bisect = false;
  RewriteFlags flags;  // the rules that made B of A, for --bisect
  double rtol = 1e-3, atol = 1e-5;
  std::uint64_t seed = 0;
  int trials = 3;
  std::string inputs;  // a folder of input files
  bool json = false;
};
int verify(const VerifyOptions& options);

struct BuildOptions {
  std::string model, out;
  RewriteFlags flags;
  std::string isa = "auto", precision = "f32", opt = "latency";
  std::string report;
  bool json = false;
};
int build(const BuildOptions& options);

struct RunOptions {
  std::string file;                 // engine or model
  std::vector<std::string> inputs;  // NAME=FILE, or FILE for a model of one input, or an .npz
  std::string out;                  // folder for the outputs
  std::string format = "npy";
  std::string draw;    // "boxes"
  std::string labels;  // one class name a line, for --draw
  double threshold = 0.5;
  std::uint64_t seed = 0;
  bool make_up = false;    // --seed was given: missing inputs are made up
  bool reference = false;  // run the reference evaluator instead of an engine
  int threads = 0;
  bool json = false;
};
int run_model(const RunOptions& options);

struct BenchOptions {
  std::vector<std::string> files;
  int threads = 0;
  int warmup = 50, iterations = 1000, report_every = 50;
  int callers = 1;  // at once, each with `threads`
  bool json = false, profile = false;
  std::uint64_t seed = 0;
};
int bench(const BenchOptions& options);

int version(bool json);

// Parses the command line and runs a subcommand.
int run(int argc, char** argv);

}  // namespace rulec::command
