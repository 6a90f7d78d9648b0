// SPDX-License-Identifier: Apache-2.0
#pragma once

// Resolved rules: what the compiler hands to the matcher. Names are slots, operators are known,
// parameters have their values (or are fitted later), packages are gone. Plain data: indices into
// the vectors of one RuleSet; rule names and source places are kept for reports only. Meanings are
// those of docs/language.md; section numbers below refer to it.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "matcher/pass.h"
#include "runtime/attribute.h"
#include "runtime/dtype.h"
#include "runtime/id.h"

namespace rulec {

struct PatternTag {
  static constexpr char prefix = 'p';
};
struct ExprTag {
  static constexpr char prefix = 'e';
};
struct SlotTag {
  static constexpr char prefix = 's';
};
struct RuleTag {
  static constexpr char prefix = 'r';
};
struct TemplateTag {
  static constexpr char prefix = 't';
};
using PatternId = Id<PatternTag>;
using ExprId = Id<ExprTag>;
using SlotId = Id<SlotTag>;  // a name that one rule or template binds; an index into its `slots`
using RuleId = Id<RuleTag>;
using TemplateId = Id<TemplateTag>;

// A place in rule text, as plain data: for messages, reports and `explain`.
struct Place {
  std::string file;
  std::uint32_t line = 0, column = 0;  // one-based
  std::uint32_t begin = 0, end = 0;    // byte offsets
};

// What a slot holds once bound.
enum class SlotKind : std::uint8_t {
  Value,       // x, const w, b?: a value of the graph, or absent
  Scalar,      // scalar c: a number, with the value it was read from
  Values,      // xs...: a list of values; also any capture inside a cluster `by` or `Op*`
  Node,        // n @ Op
  Nodes,       // n @ Op inside a cluster
  Attribute,   // {axis = a}
  Attributes,  // {..a}
  Dimension,   // N in f32[N, 3]
  Let,         // let k = …
  Parameter,   // a template's or file's parameter; `fit` ones get their value late
  Predicate,   // a formal parameter of a predicate (inlined by the compiler: does not reach here)
};

struct Slot {
  std::string name;
  SlotKind kind = SlotKind::Value;
  bool list = false;  // bound once for each member of a cluster
  Place place;
};

// ---- §4 patterns ------------------------------------------------------------------------------

struct DimPattern {
  enum class Kind : std::uint8_t { Fixed, Variable, Unknown, Rest } kind = Kind::Unknown;
  std::int64_t size = 0;  // Fixed
  SlotId slot;            // Variable: a Dimension slot
};

// `f32|f16[N, 3, ...]`, or only dtypes, or only alternatives of dims.
struct TypePattern {
  std::vector<DType> dtypes;                    // empty: any
  std::vector<std::vector<DimPattern>> shapes;  // alternatives; empty: any
};

// A literal of a pattern or an expression.
struct Literal {
  // none, bool, integer, number, string, list
  std::variant<std::monostate, bool, std::int64_t, double, std::string, std::vector<Literal>> value;
};

// {axis = 1}: equals an expression over what is bound so far, or binds a slot.
struct AttributePattern {
  std::string name;
  SlotId bind;    // binds (or compares with an earlier binding of the same slot)
  ExprId equals;  // else compares
  Place place;
};

struct OpName {
  std::string domain;  // "" for ONNX's own
  std::string type;
  friend auto operator<=>(const OpName&, const OpName&) = default;
};

struct Pattern {
  enum class Kind : std::uint8_t {
    Any,        // _
    AnyRest,    // _...
    Bind,       // x, const w, scalar c, b?
    Rest,       // xs...
    Absent,     // none
    Literal,    // 0.5, "nearest", [2, 3], exact 0.5
    Node,       // Op(a, b){…}[…]
    Either,     // A | B, first that matches
    Maybe,      // A?(x): `children` = {the node, what it is over}
    Chain,      // (Cast | Reshape)*(x): `ops`, `children` = {x}; at_least 0 or 1
    Outer,      // outer x (in a body)
    State,      // state i
    Scan,       // scan i
    Iteration,  // the trip counter
  };
  enum class Constness : std::uint8_t { Any, Constant, Scalar };

  Kind kind = Kind::Any;
  Place place;
  SlotId slot;  // Bind, Rest, Outer, State, Scan, Iteration: the name bound, if any
  Constness constness = Constness::Any;
  bool optional = false;  // b?, const? b
  std::optional<TypePattern> type;
  Literal literal;     // Literal
  bool exact = false;  // Literal: compare bit for bit
  int index = 0;       // State, Scan: which one when given by number, else -1

  // Node, Chain
  std::vector<OpName> ops;          // Node: one; Chain: any of
  bool shared = false;              // interior uses outside are permitted, node stays
  bool commutative = false;         // operands 0 and 1 in either order
  bool any_arguments = true;        // `Op` without parentheses
  std::vector<PatternId> children;  // arguments, alternatives, …
  // The input that each argument stands for, where it is not the one of its own place: operands
  // that are written as attributes are left out of the list, as in Pad(x, 0){pads = p}.
  std::vector<std::uint8_t> inputs;
  std::vector<AttributePattern> attributes;
  SlotId rest_attributes;          // {..a}
  bool drop_attributes = false;    // {_}: says that free attributes may be dropped
  std::vector<ExprId> predicates;  // […], over the node; see Expr::Kind::Self…
  SlotId node_slot;                // n @
  std::vector<SlotId> results;     // (y, mask) = …; none ids where not named
  int output = 0;                  // which output of the node the parent reads
  int at_least = 0;                // Chain

  std::size_t input_of(std::size_t child) const { return inputs.empty() ? child : inputs[child]; }
};

// ---- §5, §6 expressions -------------------------------------------------------------------------

enum class Operator : std::uint8_t {
  Negate,
  Not,
  And,
  Or,
  OrUnknown,  // Kleene's logic; OrUnknown accepts unknown
  Equal,
  NotEqual,
  Less,
  LessEqual,
  Greater,
  GreaterEqual,
  Matches /* ~ glob */,
  In,
  NotIn,
  Add,
  Subtract,
  Multiply,
  Divide,
  Remainder,
  Else,         // a else b: b where a is absent
  Conditional,  // c ? a : b
  Index,        // a[i]
  SliceOf,      // a[i:j], operands may be none ids
};

struct EmitAttribute {
  std::string name;  // empty: spread of a `..a` slot, in `value`
  ExprId value;
};

// A node to be made: Op(a, b){k = v}; or node n changed: n{…}, n(x, y).
struct Emit {
  OpName op;
  SlotId node;  // n{…}: keep this node's operator, operands (unless given) and attributes
  std::optional<std::vector<ExprId>> arguments;
  std::vector<bool> spread;  // xs... for each argument
  std::vector<EmitAttribute> attributes;
  int output_count = 1;
};

struct Expr {
  enum class Kind : std::uint8_t {
    Literal,
    Slot,    // whatever the slot holds
    List,    // [a, b]
    Apply,   // `op` over `operands`
    Call,    // built-in function `name`(operands){named}; see docs/language.md §5
    Method,  // operands[0].name(rest): reshape, transpose, …: tensor operations of `let`
    DType,   // f32 as a value
    Word,    // NCHW, a layout or other bare word (template arguments)
    Target,
    Opset,
    Emit,      // a node (replacements only)
    Template,  // a template's call inside a replacement
    Inline,    // inline(then_body): operands[0] gives the body's attribute name as Word
    // Facts about a node, in predicates […]; the node is the one the predicate stands at
    InBody,    // in body
    Is,        // is output, is input: `name`
    Contains,  // body contains P: `name` = body ("body", "then_body", …), `pattern`
    BodyIs,    // body is { … }: `patterns` with results bound
    Field,     // name, domain, users of the node
  };

  Kind kind = Kind::Literal;
  Place place;
  Literal literal;
  SlotId slot;
  Operator op = Operator::Add;
  std::string name;
  std::vector<ExprId> operands;
  std::vector<bool> spread;                           // `1...` in a call's arguments
  std::vector<std::pair<std::string, ExprId>> named;  // name = value in a call
  DType dtype = DType::Undefined;
  PatternId pattern;                // Contains
  std::vector<PatternId> patterns;  // BodyIs
  std::optional<Emit> emit;
  TemplateId callee;  // Template
};

// ---- rules ------------------------------------------------------------------------------------

// §1.5
struct PrecisionClass {
  enum class Kind : std::uint8_t {
    Exact,
    Equivalent,
    Assuming,
    Approx,
    Unsafe
  } kind = Kind::Equivalent;
  std::string text;      // Assuming: the condition in words; Unsafe: the reason
  double tolerance = 0;  // Approx, and `tolerance` clauses; 0: the class's default
};

// results = expression [in layout]
struct Statement {
  std::vector<SlotId> results;  // of the match (emit …) or of the block; none ids for `_`
  ExprId value;
  std::string layout;  // `in NCHW`, a layout word, or a Parameter slot's name; empty: none
  SlotId layout_slot;
  Place place;
};

struct Let {
  SlotId slot;
  ExprId value;
  std::string from_scope;  // `from scope "glob"`: then value is none
  SlotId from_source;      // `from source(b)`
};

struct TargetRange {
  std::string name;  // "tensorrt", "cpu", …; empty: every target
  struct Bound {
    std::string relation;  // ">=", "<", "=", …
    std::vector<int> version;
  };
  std::vector<Bound> bounds;
};

// `assuming "…" when cond`: the replacement is right on inputs of which the text holds. It is
// claimed unless the condition is false.
struct Assumption {
  std::string text;
  ExprId when;  // none: always
};

struct OpsetRequirement {
  std::string relation;
  int version = 0;
  ExprId otherwise;  // none: the rule does not apply there
};

// What a rule or template is anchored at.
struct Root {
  enum class Kind : std::uint8_t {
    Pattern,    // ordinary: patterns[0] is the root node (an Either of nodes too)
    Cluster,    // Op*, Op*(…): patterns[0] is one member
    ClusterBy,  // Op(…)* by x: patterns[0] is one member, `by` the slot
    Scope,      // scope "glob"
  } kind = Kind::Pattern;
  // Pattern: first the root, then further patterns of a match block that are not reached from it.
  std::vector<PatternId> patterns;
  SlotId by;
  std::string scope;
  Place place;
};

struct CountBound {
  std::string relation;  // "=", ">=", …
  std::int64_t count = 0;
  Place place;
};

struct TemplateArgument {
  std::string parameter;     // by name, or resolved from its position
  bool use_default = false;  // an undeclared name equal to the parameter's
  ExprId value;              // over the rule's slots
};

struct TemplateCall {
  TemplateId callee;
  std::vector<TemplateArgument> arguments;
  // images = "image_arrays:0": a port bound by a value's name.
  std::vector<std::pair<std::string, std::string>> ports;
};

struct Rule {
  std::string name;     // as written, or "file:line"
  std::string package;  // empty for a script
  std::string package_version;
  std::string doc;
  Place place;
  PrecisionClass precision;
  int priority = 0;
  bool recursive = false;
  std::optional<std::int64_t> limit;
  std::vector<CountBound> expect;
  std::optional<TargetRange> target;
  std::vector<OpName> see_through;
  std::optional<OpsetRequirement> requires_opset;
  std::vector<std::pair<SlotId, TypePattern>> retype;
  std::vector<Assumption> assuming;  // clauses; the class of the same name is in `precision`

  std::vector<Slot> slots;
  Root root;
  std::vector<SlotId> match_results;  // what the pattern's root gives: slots that emit may assign
  std::vector<ExprId> where;
  std::vector<Let> lets;  // in an order in which each uses only earlier slots

  // Exactly one of: an expression (for match_results[0]), statements, a template call.
  ExprId replacement;
  std::vector<Statement> statements;
  std::optional<TemplateCall> call;

  int pattern_nodes = 0;  // §10: more nodes go first among equal priorities
};

// ---- §8 templates -----------------------------------------------------------------------------

struct Port {
  std::string name;
  SlotId slot;
  TypePattern type;
  bool any_layout = false;
  bool optional = false, variadic = false;
  SlotId from_source;      // `from source(b)`: a capture of the root's pattern
  std::string from_scope;  // `from scope "glob"`
  Place place;
};

struct TemplateParameter {
  std::string name;
  SlotId slot;
  std::vector<std::string> words;   // NCHW | NHWC: one of these
  std::optional<TypePattern> type;  // a tensor or number otherwise
  bool fit = false;                 // default is `fit`
  ExprId default_value;             // in terms of the template's slots; none: required (or fit)
  Place place;
};

struct TemplateBody {
  std::vector<Statement> statements;
  // Its own clauses, behind `else`.
  std::vector<ExprId> where;
  std::vector<Let> lets;
  std::vector<Assumption> assuming;
};

struct Template {
  std::string name;
  std::string package, package_version;
  std::string doc;
  Place place;
  std::vector<TemplateParameter> parameters;
  std::vector<Slot> slots;
  std::optional<Root> root;  // its own pattern; the rule's root must be of this kind
  std::vector<Port> inputs, outputs;
  std::vector<ExprId> where;
  std::vector<Let> lets;
  std::vector<Assumption> assuming;
  std::vector<std::pair<SlotId, TypePattern>> retype;
  double tolerance = 0;
  std::vector<TemplateBody> bodies;  // tried in order
};

// ---- §9 edits, §10 pipelines -------------------------------------------------------------------

struct Edit {
  struct Input {
    std::string glob;
    std::optional<TypePattern> from;
    std::optional<std::string> to_name;
    std::optional<TypePattern> to;        // Fixed, Unknown or (named) Variable dims
    std::vector<std::string> to_symbols;  // name of each Variable dim of `to`
  };
  struct Dimension {
    std::string name;
    std::int64_t size = 0;
  };
  struct Outputs {
    std::vector<std::string> names;
  };
  struct Expose {
    std::string name;
    bool last = false;
    PatternId pattern;
  };
  struct Rename {
    bool input = false;
    std::string from, to;  // globs: the n-th star of `to` is what the n-th of `from` matched
  };
  struct Opset {
    int version = 0;
  };
  struct Change {
    std::variant<Input, Dimension, Outputs, Expose, Rename, Opset> what;
    Place place;
  };

  std::string name;  // may be empty
  std::vector<Change> changes;
  std::vector<Slot> slots;  // of Expose patterns
  Place place;
};

// One step: rules to a common fixpoint, or edits.
struct Phase {
  std::string name;  // as written: "std.cleanup, tensorrt.compat"
  std::vector<RuleId> rules;
  std::vector<std::size_t> edits;  // indices into RuleSet::edits
  std::vector<Pass> passes;        // built-in phases that are named beside the rules
  std::vector<std::pair<RuleId, CountBound>> expect;
  std::optional<std::int64_t> limit;
  Place place;
};

// Everything that applies to one model: what `-r FILE…` amount to.
struct RuleSet {
  std::vector<Pattern> patterns;
  std::vector<Expr> exprs;
  std::vector<Rule> rules;
  std::vector<Template> templates;
  std::vector<Edit> edits;
  std::vector<Phase> phases;  // in order; without a pipeline one phase of all rules

  const Pattern& operator[](PatternId id) const { return patterns[id.index]; }
  const Expr& operator[](ExprId id) const { return exprs[id.index]; }
  const Rule& operator[](RuleId id) const { return rules[id.index]; }
  const Template& operator[](TemplateId id) const { return templates[id.index]; }
};

}  // namespace rulec
