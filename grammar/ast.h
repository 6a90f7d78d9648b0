// SPDX-License-Identifier: Apache-2.0
#pragma once

// The syntax tree of one .rules file, as docs/language.md's grammar writes it: what the text says,
// not what it means. Names are not resolved, numbers keep their spelling, parentheses are kept.
// Every node has a Span. Items stand here; patterns are in ast_pattern.h, expressions in
// ast_expr.h, names and literals in ast_base.h.
//
//   std::optional<ast::File> file = parse(source, diagnostics);
//   for (const ast::Item& item : file->items)
//     if (auto* rule = std::get_if<ast::Rule>(&item)) use(*rule);

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "grammar/ast_base.h"
#include "grammar/ast_expr.h"
#include "grammar/ast_pattern.h"

namespace rulec::ast {

// `package tfod.efficientdet 1.2.0`
struct Package {
  Name name = {};  // dotted
  Version version = {};
  Span span = {};
  std::string doc = {};
};

// `import tensorrt.nms`, `import ./local.rules as local`
struct Import {
  Name what = {};  // dotted, or the path as written
  bool is_path = false;
  std::optional<Name> as = {};
  Span span = {};
  std::string doc = {};
};

// `target tensorrt >= 7.1, < 11`; also what follows `for` in a clause.
struct Target {
  struct VersionBound {
    Relation relation = {};
    Version version = {};
    Span span = {};
  };
  Name name = {};
  std::vector<VersionBound> bounds = {};
  Span span = {};
  std::string doc = {};
};

// `mean : f32[3] = fit`
struct Parameter {
  Name name = {};
  Kind kind = {};
  Box<Expr> initial = {};  // empty when no default is given
  Span span = {};
};

// `param classes : int = 90`
struct Param {
  Parameter parameter = {};
  Span span = {};
  std::string doc = {};
};

// `predicate per_tensor(c) = size(c) == 1`
struct Predicate {
  Name name = {};
  std::vector<Name> parameters = {};
  Expr body = {};
  Span span = {};
  std::string doc = {};
};

// `from source(b)`, `from scope "**/Postprocessor/**"`: what follows `from`.
struct Origin {
  std::variant<Name, String> where = {};  // Name: source(name); String: scope "glob"
  Span span = {};
};

// `boxes : f32[B, N, 4] in any layout from source(b)`
struct Port {
  Name name = {};
  bool optional = false;  // `name?`
  bool variadic = false;  // `name...`
  Type type = {};
  bool any_layout = false;
  std::optional<Origin> origin = {};
  Span span = {};
};

struct Ports {
  std::vector<Port> ports = {};
  Span span = {};
};

// `alpha : float = 1.702`
struct AttrDecl {
  Name name = {};
  Kind kind = {};
  Box<Expr> initial = {};
  Span span = {};
};

// `op com.microsoft::Gelu(x : f16|f32[...]) -> (y : f16|f32[...]) { alpha : float = 1.702 }`
struct OpDecl {
  OpName op = {};
  Ports inputs = {};
  Arrow arrow = {};
  Ports outputs = {};
  std::optional<std::vector<AttrDecl>> attrs = {};
  Span span = {};
  std::string doc = {};
};

// `where N > 4096, all(s > 0)`
struct Where {
  std::vector<Expr> conditions = {};
  Span span = {};
};

// `k = s / sqrt(v + eps)`, `loc = from scope "**/Boxes/**"`
struct Define {
  Name name = {};
  std::variant<Expr, Origin> value = {};
  Span span = {};
};

// `let k = s / 2, loc = from scope "a/**"`
struct Let {
  std::vector<Define> defines = {};
  Span span = {};
};

// `1` or `>= 2`
struct Bound {
  std::optional<Relation> relation = {};
  Number count = {};
  Span span = {};
};

// `expect 1`
struct Expect {
  Bound bound = {};
  Span span = {};
};

// `priority -1`
struct Priority {
  Number value = {};
  Span span = {};
};

// `for target tensorrt < 11`
struct ForTarget {
  Target target = {};
  Span span = {};
};

// `tolerance 1e-3`
struct Tolerance {
  Number value = {};
  Span span = {};
};

// `limit 1000`
struct Limit {
  Number value = {};
  Span span = {};
};

// `recursive`
struct Recursive {
  Span span = {};
};

// `assuming "at most 4096 boxes pass" when N > 4096`
struct Assuming {
  String condition = {};
  Box<Expr> when = {};  // may be empty
  Span span = {};
};

// `see through {Cast, Identity}`
struct SeeThrough {
  std::vector<OpName> ops = {};
  Span span = {};
};

// `retype y : f32[1, N]`
struct Retype {
  Name name = {};
  Type type = {};
  Span span = {};
};

// `requires opset >= 20 else com.microsoft::Gelu(x)`
struct Requires {
  Relation relation = {};
  Number opset = {};
  Box<Expr> otherwise = {};  // may be empty
  Span span = {};
};

using Clause = std::variant<Where, Let, Expect, Priority, ForTarget, Tolerance, Limit, Recursive,
                            Assuming, SeeThrough, Retype, Requires>;

// `y = Relu(x) in layout`
struct Stmt {
  Results results = {};
  Expr value = {};
  std::optional<Name> layout = {};
  Span span = {};
};

// `{ y = Relu(x)  z = Abs(y) }`
struct Block {
  std::vector<Stmt> stmts = {};
  Span span = {};
};

// What stands behind the arrow or `emit`: `x`, `{ y = Relu(x) }`; a bare Stmt only behind `emit`.
struct Replacement {
  std::variant<Expr, Block, Stmt> value = {};
  Span span = {};
};

// `exact`, `assuming("…")`, `unsafe("…")`, `approx(0.5)`
struct RuleClass {
  enum class Level { Exact, Assuming, Approx, Unsafe };
  Level level = {};
  std::optional<String> reason = {};     // of assuming and unsafe
  std::optional<Number> tolerance = {};  // of approx
  Span span = {};
};

// The place a rule looks for.
//   `scope "Postprocessor/**"`                       Scope
//   `NonMaxSuppression*(b, s)`                       Cluster
//   `Relu(x) | Abs(x)`, `Conv(x, const w)* by x`     Pattern (node and chain alternatives only), by
struct Root {
  struct Scope {
    String glob = {};
    Span span = {};
  };
  struct Cluster {
    OpName op = {};
    Tail tail = {};
    Span span = {};
  };
  std::variant<Pattern, Cluster, Scope> value = {};
  std::optional<Name> by = {};  // `* by x`; only with a Pattern
  Span span = {};
};

// `rule name exact: root -> replacement clauses`, or the match form in braces.
struct Rule {
  enum class Form { Arrow, Match };
  std::optional<Name> name = {};
  std::optional<RuleClass> level = {};
  Form form = Form::Arrow;
  std::optional<Root> root = {};  // Form::Arrow
  Arrow arrow = {};               // Form::Arrow
  std::vector<Bind> match = {};   // Form::Match
  Replacement replacement = {};
  std::vector<Clause> clauses = {};  // in the order of the text
  // Form::Match: how many of the clauses stand before `match`, and before `emit`.
  std::size_t clauses_before_match = 0;
  std::size_t clauses_before_emit = 0;
  Span match_span = {};  // `match { … }`
  Span span = {};
  std::string doc = {};  // the `##` lines above, without `## `
};

// `template t(n : int = 3) for NonMaxSuppression*(b) (x : f32) -> (y : f32) { … } else { … }`
struct Template {
  // One of the bodies; behind `else` clauses of its own may stand before the block.
  struct Body {
    std::vector<Clause> clauses = {};
    Block block = {};
  };
  Name name = {};
  std::vector<Parameter> parameters = {};
  std::optional<Root> root = {};
  Ports inputs = {};
  Arrow arrow = {};
  Ports outputs = {};
  std::vector<Clause> clauses = {};
  std::vector<Body> bodies = {};  // at least one
  Span span = {};
  std::string doc = {};
};

// `input "image*" : u8[?, 3] -> "input" : f32[1, 3]`
struct InputChange {
  struct Replaced {
    Arrow arrow = {};
    String name = {};
    std::optional<Type> type = {};
  };
  String glob = {};
  std::optional<Type> type = {};
  std::optional<Replaced> replaced = {};
  Span span = {};
};

// A name that may be written as a string when it is no word: `N`, `"unk 1"`.
struct NameOrString {
  std::string text = {};
  bool quoted = false;
  Span span = {};
};

// `dim N = 1`
struct DimChange {
  NameOrString dim = {};
  Expr value = {};
  Span span = {};
};

// `outputs = [boxes, "scores:0"]`
struct OutputsChange {
  std::vector<NameOrString> outputs = {};
  Span span = {};
};

// `output "c5" = last Relu[name ~ "**/stage5/**"]`
struct OutputChange {
  String name = {};
  bool last = false;
  Node node = {};
  Span span = {};
};

// `rename output "StatefulPartitionedCall:*" -> "out_*"`
struct RenameChange {
  bool input = false;  // else output
  String from = {};
  Arrow arrow = {};
  String to = {};
  Span span = {};
};

// `opset = 17`
struct OpsetChange {
  Number opset = {};
  Span span = {};
};

using Change =
    std::variant<InputChange, DimChange, OutputsChange, OutputChange, RenameChange, OpsetChange>;

// `edit float_input { … }`
struct Edit {
  std::optional<Name> name = {};
  std::vector<Change> changes = {};
  Span span = {};
  std::string doc = {};
};

// `std.cleanup, nms expect 1`: one phase of a pipeline.
struct Step {
  struct Part {
    Name name = {};  // dotted; `edit` is the unnamed edits
    std::optional<Bound> expect = {};
    Span span = {};
  };
  std::vector<Part> parts = {};
  Span span = {};
};

// `pipeline { std.cleanup  nms expect 1 }`
struct Pipeline {
  std::optional<Name> name = {};
  std::vector<Step> steps = {};
  Span span = {};
  std::string doc = {};
};

// `before y = Relu(x : f32[2])` or `after …`
struct TestGraph {
  bool after = false;
  std::vector<Stmt> stmts = {};
  Span span = {};
};

// `outputs y, z`
struct TestOutputs {
  std::vector<Name> names = {};
  Span span = {};
};

// `unchanged`
struct TestUnchanged {
  Span span = {};
};

// `model "models/ssd.onnx"`
struct TestModel {
  String path = {};
  Span span = {};
};

using TestPart = std::variant<TestGraph, TestOutputs, TestUnchanged, TestModel, Expect>;

// `test "two are one" for a, std.b { before … after … }`
struct Test {
  String title = {};
  std::vector<Name> rules = {};  // dotted; empty: all
  std::vector<TestPart> parts = {};
  Span span = {};
  std::string doc = {};
};

using Item =
    std::variant<Import, Target, Param, Predicate, OpDecl, Template, Edit, Pipeline, Test, Rule>;

// A comment, for the formatter: the text from its `#` to the end of the line.
struct Comment {
  std::string text = {};
  bool own_line = false;  // nothing but spaces before it
  bool doc = false;       // `##`, on its own line
  Span span = {};
};

// One .rules file.
struct File {
  std::optional<Package> package = {};
  std::vector<Item> items = {};
  std::vector<Comment> comments = {};  // all of them, in order
  // Where lines without any text begin, for the formatter.
  std::vector<std::uint32_t> blank_lines = {};
  Span span = {};
};

}  // namespace rulec::ast
