// SPDX-License-Identifier: Apache-2.0
// The one table of commands and flags; --help, completion of mistakes and the contract follow it.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "compiler/command/command.h"
#include "matcher/edit_distance.h"

namespace rulec::command {

static void add_rules(CLI::App& app, RuleOptions& rules, bool required) {
  auto* option =
      app.add_option("-r,--rules", rules.rules, "rule file, or a package by its name; may repeat");
  if (required) option->required();
  option->allow_extra_args(false);
  app.add_option("--rule-path", rules.rule_path, "folder of rule packages; may repeat")
      ->allow_extra_args(false);
  app.add_option("--set", rules.settings, "name=value: overrides a `param`; may repeat")
      ->allow_extra_args(false);
  app.add_option("--target", rules.target, "what to build for: cpu, tensorrt@8.5, …");
}

static void add_rewrite_flags(CLI::App& app, RewriteFlags& flags, bool rules_required,
                              bool seed = true) {
  add_rules(app, flags.rules, rules_required);
  app.add_option("--allow", flags.allow, "classes of rules to let fire: approx, unsafe")
      ->delimiter(',')
      ->check(CLI::IsMember({"approx", "unsafe"}));
  app.add_option("--verify", flags.verify, "prove template firings: off, each, final")
      ->check(CLI::IsMember({"off", "each", "final"}));
  app.add_option("--outputs", flags.outputs, "keep exactly these outputs, in this order")
      ->delimiter(',');
  app.add_option("--input", flags.inputs, "'PATTERN : TYPE [-> NAME : TYPE]': changes an input")
      ->allow_extra_args(false);
  app.add_option("--dim", flags.dims, "NAME=N: fixes a symbolic dimension everywhere")
      ->allow_extra_args(false);
  app.add_option("--expect", flags.expect, "RULE=N: fail unless the rule fires N times")
      ->allow_extra_args(false);
  app.add_flag("--strict", flags.strict, "refuse rules that assume something of the inputs");
  app.add_flag("--keep-shapes", flags.keep_shapes, "never narrow an unknown input dimension");
  app.add_option("--opset", flags.opset, "convert to this opset first");
  if (seed) app.add_option("--seed", flags.seed, "of the probes");
}

// CLI11 says only that an argument is unexpected; a reader wants the near one.
static std::string near_command(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return "";
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands({}))
    names.push_back(sub->get_name());
  for (const std::string& name : names)
    if (name == argv[1]) return "";
  const std::string near = nearest_name(argv[1], names);
  return near.empty()
             ? ::fmt::format("there is no command `{}`", argv[1])
             : ::fmt::format("there is no command `{}`; did you mean `{}`?", argv[1], near);
}

// The same for flags: the first that the command does not have.
static std::string unknown_flag(const CLI::App& app, int argc, char** argv) {
  const CLI::App* command = nullptr;
  for (const CLI::App* sub : app.get_subcommands({}))
    if (argc > 2 && sub->get_name() == argv[1]) command = sub;
  if (command == nullptr) return "";
  for (int i = 2; i < argc; ++i) {
    const std::string flag = std::string(argv[i]).substr(0, std::string_view(argv[i]).find('='));
    if (!flag.starts_with("--") || flag == "--" || command->get_option_no_throw(flag) != nullptr)
      continue;
    std::vector<std::string> names;
    for (const CLI::Option* option : command->get_options())
      for (const std::string& name : option->get_lnames())
        names.push_back("--" + name);
    const std::string near = nearest_name(flag, names);
    return ::fmt::format("`{}` has no flag `{}`{}", argv[1], flag,
                         near.empty() ? "" : ::fmt::format("; did you mean `{}`?", near));
  }
  return "";
}

int run(int argc, char** argv) {
  CLI::App app("rulec compiles rewrite rules, applies them to ONNX models and builds engines.",
               "rulec");
  app.require_subcommand(1);
  app.set_help_all_flag("--help-all", "help of every command");

  CheckOptions check_options;
  auto* check_app = app.add_subcommand("check", "parse, resolve and type-check rule files");
  check_app->add_option("FILE", check_options.rules.rules, "rule files or packages")->required();
  check_app
      ->add_option("--rule-path", check_options.rules.rule_path,
                   "folder of rule packages; may repeat")
      ->allow_extra_args(false);
  check_app->add_option("--set", check_options.rules.settings, "name=value")
      ->allow_extra_args(false);
  check_app->add_option("--target", check_options.rules.target, "what to build for");
  check_app->add_flag("--json", check_options.json, "diagnostics as JSON");
  check_app->add_flag("--sarif", check_options.sarif, "diagnostics as SARIF 2.1.0");

  FmtOptions fmt_options;
  auto* fmt_app = app.add_subcommand("fmt", "write rule files in their canonical layout");
  fmt_app->add_option("FILE", fmt_options.files, "rewritten in place; standard input without");
  fmt_app->add_flag("--check", fmt_options.check, "change nothing; exit 1 where a file would");

  TestOptions test_options;
  auto* test_app = app.add_subcommand("test", "run the tests of rule files, and generated ones");
  test_app->add_option("FILE", test_options.rules.rules, "rule files or packages")->required();
  test_app
      ->add_option("--rule-path", test_options.rules.rule_path,
                   "folder of rule packages; may repeat")
      ->allow_extra_args(false);
  test_app->add_option("--set", test_options.rules.settings, "name=value")->allow_extra_args(false);
  test_app->add_option("--target", test_options.rules.target, "what to build for");
  test_app->add_option("--filter", test_options.filter, "only tests whose title matches the glob");
  test_app->add_option("--seed", test_options.seed, "of the random operands and graphs");
  test_app
      ->add_option("--instances", test_options.instances,
                   "graphs generated for each rule; 0: only the written tests")
      ->check(CLI::Range(0, 100000));
  test_app->add_flag("--json", test_options.json, "results as JSON");

  RewriteOptions rewrite_options;
  auto* rewrite_app = app.add_subcommand("rewrite", "apply rules to a model");
  rewrite_app->add_option("MODEL", rewrite_options.model, ".onnx or .onnxtxt")->required();
  rewrite_app->add_option("-o,--out", rewrite_options.out, "the rewritten model");
  add_rewrite_flags(*rewrite_app, rewrite_options.flags, false);
  rewrite_app->add_option("--report", rewrite_options.report, "write the report as JSON");
  rewrite_app->add_option("--html", rewrite_options.html,
                          "write a page: each firing, before and after");
  rewrite_app->add_flag("--json", rewrite_options.json, "the report on standard output");
  rewrite_app->add_flag("--dry-run", rewrite_options.dry_run, "write no model");
  rewrite_app
      ->add_option("--save-external", rewrite_options.save_external,
                   "keep weights in a file beside the model; =SIZE: those of at least SIZE bytes")
      ->expected(0, 1)
      ->default_str("1024");

  ExplainOptions explain_options;
  auto* explain_app = app.add_subcommand("explain", "why a rule fired, or did not");
  explain_app->add_option("MODEL", explain_options.model, ".onnx or .onnxtxt")->required();
  add_rewrite_flags(*explain_app, explain_options.flags, true);
  explain_app->add_option("--rule", explain_options.rule, "the rule's name");
  explain_app->add_option("--at", explain_options.node, "only at this node");
  explain_app->add_flag("--json", explain_options.json, "as JSON");
  explain_app->add_option("--html", explain_options.html, "write a page");

  InspectOptions inspect_options;
  auto* inspect_app = app.add_subcommand("inspect", "what a model or an engine holds");
  inspect_app->add_option("FILE", inspect_options.file, "model or engine")->required();
  inspect_app->add_flag("--ops", inspect_options.ops, "list every node");
  inspect_app->add_flag("--json", inspect_options.json, "as JSON");

  VerifyOptions verify_options;
  auto* verify_app = app.add_subcommand("verify", "compare two models or engines by their numbers");
  verify_app->add_option("A", verify_options.a, "model or engine")->required();
  verify_app->add_option("B", verify_options.b, "model or engine")->required();
  verify_app->add_option("--rtol", verify_options.rtol, "relative tolerance");
  verify_app->add_option("--atol", verify_options.atol, "absolute tolerance");
  verify_app->add_option("--seed", verify_options.seed, "of the inputs");
  verify_app->add_option("--trials", verify_options.trials, "how many inputs are drawn")
      ->check(CLI::Range(1, 1000));
  verify_app->add_option("--inputs", verify_options.inputs, "folder of NAME.npy files, or an .npz");
  verify_app->add_flag("--bisect", verify_options.bisect,
                       "where they differ: find the firing of -r RULES that is to blame");
  add_rewrite_flags(*verify_app, verify_options.flags, false, false);
  verify_app->add_flag("--json", verify_options.json, "as JSON");

  BuildOptions build_options;
  auto* build_app = app.add_subcommand("build", "make an engine of a model");
  build_app->add_option("MODEL", build_options.model, ".onnx or .onnxtxt")->required();
  build_app->add_option("-o,--out", build_options.out, "the engine")->required();
  add_rewrite_flags(*build_app, build_options.flags, false);
  build_app->add_option("--isa", build_options.isa, "avx2, avx512 or auto")
      ->check(CLI::IsMember({"auto", "portable", "avx2", "avx512"}));
  build_app->add_option("--precision", build_options.precision, "of the fast kernels: f32")
      ->check(CLI::IsMember({"f32", "bf16", "f16"}).description(""));
  build_app->add_option("--opt", build_options.opt, "latency, balanced or size")
      ->check(CLI::IsMember({"latency", "balanced", "size"}));
  build_app->add_option("--report", build_options.report, "what became of each node, as JSON");
  build_app->add_flag("--json", build_options.json, "the report on standard output");

  RunOptions run_options;
  auto* run_app = app.add_subcommand("run", "run an engine or a model on inputs");
  run_app->add_option("FILE", run_options.file, "engine or model")->required();
  run_app
      ->add_option("--input", run_options.inputs,
                   "NAME=FILE (.npy .npz .pb .png .jpg); FILE alone for a single input")
      ->allow_extra_args(false);
  run_app->add_option("-o,--out", run_options.out, "folder for the outputs");
  run_app->add_option("--format", run_options.format, "of the outputs: npy or pb")
      ->check(CLI::IsMember({"npy", "pb"}));
  run_app->add_option("--draw", run_options.draw, "boxes: paint detections over the picture")
      ->check(CLI::IsMember({"boxes"}));
  run_app->add_option("--labels", run_options.labels, "class names for --draw, one a line");
  run_app->add_option("--threshold", run_options.threshold, "lowest score that --draw paints");
  auto* run_seed = run_app->add_option("--seed", run_options.seed, "make up missing inputs");
  run_app->add_flag("--reference", run_options.reference,
                    "use the slow reference evaluator (models only)");
  run_app->add_option("--threads", run_options.threads, "default: all cores")
      ->check(CLI::Range(0, 1024));
  run_app->add_flag("--json", run_options.json, "the manifest on standard output");

  BenchOptions bench_options;
  auto* bench_app = app.add_subcommand("bench", "time an engine, or two against each other");
  bench_app->add_option("ENGINE", bench_options.files, "one or two engines")
      ->required()
      ->expected(1, 2);
  bench_app->add_option("--threads", bench_options.threads, "default: all cores")
      ->check(CLI::Range(0, 1024));
  bench_app->add_option("--warmup", bench_options.warmup, "runs not counted")
      ->check(CLI::Range(0, 1000000));
  bench_app->add_option("--iters", bench_options.iterations, "timed runs")
      ->check(CLI::Range(1, 100000000));
  bench_app->add_option("--callers", bench_options.callers, "so many at once, after the timed runs")
      ->check(CLI::Range(1, 1024));
  bench_app->add_option("--report-every", bench_options.report_every, "a line each so many runs")
      ->check(CLI::Range(1, 100000000));
  bench_app->add_option("--seed", bench_options.seed, "of the inputs");
  bench_app->add_flag("--profile", bench_options.profile, "time each operator");
  bench_app->add_flag("--json", bench_options.json, "as JSON");

  PkgOptions pkg_options;
  auto* pkg_app = app.add_subcommand("pkg", "packages of rules: manifests, locks, indexes");
  pkg_app->require_subcommand(1);
  const auto add_pkg = [&](const char* action, const char* does) {
    auto* sub = pkg_app->add_subcommand(action, does);
    sub->callback([&pkg_options, action] { pkg_options.action = action; });
    sub->add_option("--rule-path", pkg_options.rule_path, "folder of rule packages; may repeat")
        ->allow_extra_args(false);
    return sub;
  };
  const auto add_folder = [&](CLI::App* sub) {
    sub->add_option("--folder", pkg_options.folder, "of the manifest; here without");
  };
  auto* pkg_init = add_pkg("init", "write a rules.toml");
  pkg_init->add_option("FOLDER", pkg_options.folder, "of the package; here without");
  pkg_init->add_option("--name", pkg_options.name, "of the package; the folder's without");
  auto* pkg_add = add_pkg("add", "add a dependency, and lock");
  pkg_add->add_option("SOURCE", pkg_options.source, "folder, Git URL, index file, or package name")
      ->required();
  pkg_add->add_option("NAME", pkg_options.name, "of the package in an index");
  pkg_add->add_option("--version", pkg_options.range, "range of versions; ^ the newest without");
  pkg_add->add_option("--rev", pkg_options.revision, "of a Git repository: branch, tag or commit");
  pkg_add->add_option("--subfolder", pkg_options.subfolder, "of a Git repository");
  add_folder(pkg_add);
  auto* pkg_lock = add_pkg("lock", "write rules.lock: one version of each package, with hashes");
  pkg_lock->add_flag("--check", pkg_options.check, "write nothing; exit 1 where it would change");
  add_folder(pkg_lock);
  add_folder(add_pkg("vendor", "copy the locked packages into vendor/"));
  auto* pkg_publish = add_pkg("publish", "add the package to an index file");
  pkg_publish->add_option("INDEX", pkg_options.source, "index file; made where there is none")
      ->required();
  add_folder(pkg_publish);
  auto* pkg_diff = add_pkg("diff", "what changes for users between two versions");
  pkg_diff->add_option("OLD", pkg_options.source, "folder, rule file or package")->required();
  pkg_diff->add_option("NEW", pkg_options.other, "folder, rule file or package")->required();
  pkg_diff->add_option("--corpus", pkg_options.corpus, "folder of models to try changed rules on");
  pkg_diff->add_flag("--json", pkg_options.json, "as JSON");

  DocOptions doc_options;
  const auto add_doc = [&](CLI::App* sub) {
    sub->add_option("FILE", doc_options.rules.rules, "rule files or packages; the library without");
    sub->add_option("--rule-path", doc_options.rules.rule_path, "folder of rule packages");
    sub->add_option("-o,--out", doc_options.out, "the page; standard output without");
    sub->add_flag("--check", doc_options.check, "write nothing; exit 1 where the page is another");
  };
  auto* doc_app = app.add_subcommand("doc", "a page of rules, each with its equation and class");
  add_doc(doc_app);
  auto* pkg_doc = pkg_app->add_subcommand("doc", "the same as `rulec doc`");
  add_doc(pkg_doc);

  bool version_json = false;
  auto* version_app = app.add_subcommand("version", "version, processor features, opsets");
  version_app->add_flag("--json", version_json, "as JSON");

  auto* help_app = app.add_subcommand("help", "help of a command");
  std::string help_of;
  help_app->add_option("COMMAND", help_of);

  app.set_version_flag("--version", "rulec " RULEC_VERSION);

  if (argc < 2) {
    ::fmt::print(stderr, "{}", app.help());
    return usage_fault;
  }
  if (const std::string wrong = near_command(app, argc, argv); !wrong.empty()) {
    ::fmt::print(stderr, "rulec: {} (`rulec --help` lists them)\n", wrong);
    return usage_fault;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    if (const std::string wrong = unknown_flag(app, argc, argv); !wrong.empty()) {
      ::fmt::print(stderr, "rulec: {} (`rulec {} --help` lists them)\n", wrong, argv[1]);
      return usage_fault;
    }
    ::fmt::print(stderr, "rulec: {} (`rulec {}--help` shows how)\n", error.what(),
                 argc > 1 && argv[1][0] != '-' ? std::string(argv[1]) + " " : "");
    return usage_fault;
  }
  run_options.make_up = run_seed->count() > 0;
  if (*check_app) return check(check_options);
  if (*fmt_app) return command::fmt(fmt_options);
  if (*test_app) return test(test_options);
  if (*rewrite_app) {
    if (rewrite_options.out.empty() && !rewrite_options.dry_run) {
      ::fmt::print(stderr, "rulec: rewrite needs -o OUT, or --dry-run\n");
      return usage_fault;
    }
    return rewrite(rewrite_options);
  }
  if (*explain_app) return explain(explain_options);
  if (*inspect_app) return inspect(inspect_options);
  if (*verify_app) return verify(verify_options);
  if (*build_app) return build(build_options);
  if (*run_app) return run_model(run_options);
  if (*bench_app) return bench(bench_options);
  if (*doc_app || *pkg_doc) return doc(doc_options);
  if (*pkg_app) return pkg(pkg_options);
  if (*version_app) return version(version_json);
  if (*help_app) {
    if (help_of.empty()) {
      ::fmt::print("{}", app.help());
      return done;
    }
    for (const CLI::App* sub : app.get_subcommands({}))
      if (sub->get_name() == help_of) {
        ::fmt::print("{}", sub->help());
        return done;
      }
    ::fmt::print(stderr, "rulec: there is no command `{}`\n", help_of);
    return usage_fault;
  }
  return usage_fault;
}

}  // namespace rulec::command
