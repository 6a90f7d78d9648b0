// SPDX-License-Identifier: Apache-2.0
// ONNX's schemas (and the plugins among them) in our terms, translated operator by operator when
// asked for. No schema is copied that nobody asks about.
#include "matcher/op_table.h"

#include <algorithm>
#include <climits>
#include <deque>
#include <mutex>
#include <set>
#include <unordered_map>

#include <onnx/defs/schema.h>

#include "matcher/edit_distance.h"
#include "matcher/onnx_attribute.h"
#include "matcher/plugin_ops.h"

namespace rulec {

const AttributeSchema* OpSchema::attribute(std::string_view named) const {
  for (const AttributeSchema& it : attributes) {
    if (it.name == named) return &it;
  }
  return nullptr;
}

int OpSchema::input(std::string_view named) const {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].name == named) return static_cast<int>(i);
  }
  return -1;
}

int OpSchema::min_inputs() const {
  int least = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].kind == OperandKind::Single) least = static_cast<int>(i) + 1;
    if (inputs[i].kind == OperandKind::Variadic && inputs[i].min_arity > 0) {
      least = static_cast<int>(i) + inputs[i].min_arity;
    }
  }
  return least;
}

int OpSchema::max_inputs() const {
  if (!inputs.empty() && inputs.back().kind == OperandKind::Variadic) return INT_MAX;
  return static_cast<int>(inputs.size());
}

// The element type in "tensor(float)"; Undefined for types that are no plain tensors.
static DType dtype_in(std::string_view type) {
  if (!type.starts_with("tensor(") || !type.ends_with(")")) return DType::Undefined;
  type = type.substr(7, type.size() - 8);
  std::string upper(type);
  for (char& c : upper)
    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  onnx::TensorProto::DataType number = onnx::TensorProto::UNDEFINED;
  if (!onnx::TensorProto::DataType_Parse(upper, &number)) return DType::Undefined;
  return number <= static_cast<int>(DType::I2) ? static_cast<DType>(number) : DType::Undefined;
}

static Operand translate(const onnx::OpSchema::FormalParameter& from) {
  Operand to;
  to.name = from.GetName();
  to.kind = from.GetOption() == onnx::OpSchema::Optional   ? OperandKind::Optional
            : from.GetOption() == onnx::OpSchema::Variadic ? OperandKind::Variadic
                                                           : OperandKind::Single;
  to.type_parameter = from.GetTypeStr();
  to.homogeneous = from.GetIsHomogeneous();
  to.min_arity = from.GetMinArity();
  std::set<DType> dtypes;
  for (const std::string* type : from.GetTypes())
    dtypes.insert(dtype_in(*type));
  if (!dtypes.contains(DType::Undefined)) to.dtypes.assign(dtypes.begin(), dtypes.end());
  return to;
}

static AttributeSchema translate(const onnx::OpSchema::Attribute& from) {
  AttributeSchema to;
  to.name = from.name;
  to.kind = static_cast<AttributeKind>(from.type);
  to.required = from.required;
  if (from.default_value.has_name() || from.default_value.type() != 0) {
    const auto bytes = std::make_shared<const std::string>(from.default_value.SerializeAsString());
    TensorHome home(bytes);
    auto decoded = decode_attribute(*bytes, home);
    if (decoded && decoded->value) to.default_value = std::move(*decoded->value);
  }
  return to;
}

static bool is_commutative(std::string_view domain, std::string_view type) {
  static const std::set<std::string_view> standard = {
      "Add", "Mul", "Max",   "Min",        "Sum",       "Mean",      "And",
      "Or",  "Xor", "Equal", "BitwiseAnd", "BitwiseOr", "BitwiseXor"};
  return domain.empty() && standard.contains(type);
}

static bool is_random(std::string_view domain, std::string_view type) {
  return domain.empty() &&
         (type.starts_with("Random") || type == "Multinomial" || type == "Bernoulli");
}

static OpSchema translate(const onnx::OpSchema& from) {
  OpSchema to;
  to.domain = from.domain();
  to.type = from.Name();
  to.since = from.SinceVersion();
  to.deprecated = from.deprecated();
  to.commutative = is_commutative(to.domain, to.type);
  to.deterministic = !is_random(to.domain, to.type) &&
                     from.GetNodeDeterminism() != onnx::OpSchema::NodeDeterminism::NonDeterministic;
  for (const auto& operand : from.inputs())
    to.inputs.push_back(translate(operand));
  for (const auto& operand : from.outputs())
    to.outputs.push_back(translate(operand));
  for (const auto& [name, attribute] : from.attributes()) {
    to.attributes.push_back(translate(attribute));
  }
  std::sort(to.attributes.begin(), to.attributes.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return to;
}

// A schema of ONNX's registry in our terms, once for the process.
static const OpSchema* translated(const onnx::OpSchema& from) {
  struct Known {
    std::mutex mutex;
    std::unordered_map<const onnx::OpSchema*, std::unique_ptr<const OpSchema>> schemas;
  };
  static Known* const known = new Known;
  const std::lock_guard lock(known->mutex);
  auto& schema = known->schemas[&from];
  if (!schema) schema = std::make_unique<const OpSchema>(translate(from));
  return schema.get();
}

struct OpTable::Cache {
  bool declarations = false;
  // Versions of one operator, newest first.
  using Versions = std::vector<const OpSchema*>;
  std::mutex mutex;
  std::deque<OpSchema> declared;
  using Types = std::map<std::string, Versions, std::less<>>;
  std::map<std::string, Types, std::less<>> by_name;

  const Versions& versions(std::string_view domain, std::string_view type) {
    auto of_domain = by_name.find(domain);
    if (of_domain == by_name.end()) of_domain = by_name.try_emplace(std::string(domain)).first;
    auto known = of_domain->second.find(type);
    if (known != of_domain->second.end()) return known->second;
    register_plugin_operators();
    Versions found;
    int opset = INT_MAX;
    while (opset > 0) {
      const auto* const schema =
          onnx::OpSchemaRegistry::Schema(std::string(type), opset, std::string(domain));
      if (schema == nullptr) break;
      found.push_back(translated(*schema));
      opset = schema->SinceVersion() - 1;
    }
    return of_domain->second.emplace(std::string(type), std::move(found)).first->second;
  }

  // Of an operator whose versions nobody has asked for yet, the others stay untranslated.
  const OpSchema* in_force(std::string_view domain, std::string_view type, int opset) {
    const auto of_domain = by_name.find(domain);
    const auto known =
        of_domain == by_name.end() ? Types::iterator() : of_domain->second.find(type);
    if (of_domain == by_name.end() || known == of_domain->second.end()) {
      register_plugin_operators();
      const auto* const schema =
          onnx::OpSchemaRegistry::Schema(std::string(type), opset, std::string(domain));
      return schema == nullptr ? nullptr : translated(*schema);
    }
    for (const OpSchema* schema : known->second) {
      if (schema->since <= opset) return schema;
    }
    return nullptr;
  }
};

OpTable::OpTable() : cache_(std::make_shared<Cache>()) {}

const OpSchema* OpTable::find(std::string_view domain, std::string_view type, int opset) const {
  const std::lock_guard lock(cache_->mutex);
  return cache_->in_force(domain, type, opset);
}

std::vector<const OpSchema*> OpTable::versions(std::string_view domain,
                                               std::string_view type) const {
  const std::lock_guard lock(cache_->mutex);
  return cache_->versions(domain, type);
}

int OpTable::newest_opset(std::string_view domain) const {
  register_plugin_operators();
  const auto& known = onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map();
  const auto at = known.find(std::string(domain));
  if (at != known.end()) return at->second.second;
  int newest = 0;
  const std::lock_guard lock(cache_->mutex);
  if (const auto of = cache_->by_name.find(domain); of != cache_->by_name.end()) {
    for (const auto& [type, versions] : of->second) {
      if (!versions.empty()) newest = std::max(newest, versions.front()->since);
    }
  }
  return newest;
}

static bool same_operands(const std::vector<Operand>& a, const std::vector<Operand>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Operand& x, const Operand& y) {
    return x.name == y.name && x.kind == y.kind && x.dtypes == y.dtypes;
  });
}

static bool same_attributes(std::vector<AttributeSchema> a, std::vector<AttributeSchema> b) {
  const auto by_name = [](const auto& x, const auto& y) { return x.name < y.name; };
  std::sort(a.begin(), a.end(), by_name);
  std::sort(b.begin(), b.end(), by_name);
  const auto same = [](const AttributeSchema& x, const AttributeSchema& y) {
    if (x.name != y.name || x.kind != y.kind || x.required != y.required) return false;
    if (!x.default_value || !y.default_value) return !x.default_value && !y.default_value;
    return encode_attribute({x.name, *x.default_value}, {}).joined() ==
           encode_attribute({y.name, *y.default_value}, {}).joined();
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

static bool gives_shapes(const OpSchema& schema) {
  const auto shaped = [](const Operand& operand) { return !operand.shapes.empty(); };
  return std::any_of(schema.inputs.begin(), schema.inputs.end(), shaped) ||
         std::any_of(schema.outputs.begin(), schema.outputs.end(), shaped);
}

bool OpTable::has_declarations() const {
  const std::lock_guard lock(cache_->mutex);
  return cache_->declarations;
}

bool OpTable::declare(OpSchema schema) {
  const std::lock_guard lock(cache_->mutex);
  cache_->versions(schema.domain, schema.type);
  auto& versions = cache_->by_name.find(schema.domain)->second.find(schema.type)->second;
  const bool foreign = !schema.domain.empty() || is_plugin_operator(schema.type);
  for (const OpSchema* known : versions) {
    if (same_operands(known->inputs, schema.inputs) &&
        same_operands(known->outputs, schema.outputs) &&
        same_attributes(known->attributes, schema.attributes)) {
      if (!foreign || !gives_shapes(schema)) return true;
      // What we know of it besides stays.
      OpSchema shaped = *known;
      for (std::size_t i = 0; i < shaped.inputs.size(); ++i)
        shaped.inputs[i].shapes = std::move(schema.inputs[i].shapes);
      for (std::size_t i = 0; i < shaped.outputs.size(); ++i)
        shaped.outputs[i].shapes = std::move(schema.outputs[i].shapes);
      schema = std::move(shaped);
      break;
    }
  }
  // ONNX's own operators are what they are; of all others a rule file knows better than we do.
  if (!foreign && !versions.empty()) return false;
  schema.declared = true;
  cache_->declarations = true;
  versions.clear();
  versions.push_back(&cache_->declared.emplace_back(std::move(schema)));
  return true;
}

std::string OpTable::similar(std::string_view domain, std::string_view type) const {
  register_plugin_operators();
  std::set<std::string> names;
  for (const onnx::OpSchema& schema : onnx::OpSchemaRegistry::get_all_schemas()) {
    if (schema.domain() == domain) names.insert(schema.Name());
  }
  {
    const std::lock_guard lock(cache_->mutex);
    if (const auto of = cache_->by_name.find(domain); of != cache_->by_name.end()) {
      for (const auto& [name, versions] : of->second) {
        if (!versions.empty()) names.insert(name);
      }
    }
  }
  const std::string near = nearest_name(type, std::vector<std::string>(names.begin(), names.end()));
  if (!near.empty() || type.size() < 4) return near;
  // A name that is cut short: BatchNorm.
  std::string longer;
  for (const std::string& name : names) {
    if (!name.starts_with(type)) continue;
    if (!longer.empty()) return "";
    longer = name;
  }
  return longer;
}

static bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

// Inputs that were renamed when they stopped being attributes, by the attribute's name.
static std::string_view input_name(std::string_view domain, std::string_view type,
                                   std::string_view attribute) {
  return domain.empty() && type == "Pad" && attribute == "value" ? "constant_value" : attribute;
}

static std::vector<MovedOperand> find_moved_operands(const OpTable& table, std::string_view domain,
                                                     std::string_view type) {
  // What Upsample's `scales` became: never an attribute of Resize, but written like one.
  if (domain.empty() && type == "Resize") {
    return {{"scales", 2, 11, AttributeKind::Floats},
            {"sizes", 3, 11, AttributeKind::Ints},
            {"roi", 1, 11, AttributeKind::Floats},
            {"scales", 1, 10, AttributeKind::Floats, 11}};
  }
  const std::vector<const OpSchema*> versions = table.versions(domain, type);
  std::vector<MovedOperand> moved;
  for (std::size_t i = 0; i + 1 < versions.size(); ++i) {
    const OpSchema &now = *versions[i], &then = *versions[i + 1];
    for (const AttributeSchema& attribute : then.attributes) {
      const std::string_view name = input_name(domain, type, attribute.name);
      const auto at = std::find_if(now.inputs.begin(), now.inputs.end(), [&](const Operand& input) {
        return same_name(input.name, name);
      });
      if (at == now.inputs.end() || now.attribute(attribute.name) != nullptr) continue;
      moved.push_back({.name = attribute.name,
                       .input = static_cast<int>(at - now.inputs.begin()),
                       .since = now.since,
                       .kind = attribute.kind});
      if (name != attribute.name) moved.back().operand = name;
    }
  }
  // An operand that came with those that moved is written as they are: Slice's steps, Pad's axes.
  if (!moved.empty() && !versions.empty())
    for (std::size_t i = 0; i < versions.front()->inputs.size(); ++i) {
      const Operand& operand = versions.front()->inputs[i];
      const bool known = std::any_of(moved.begin(), moved.end(), [&](const MovedOperand& other) {
        return other.input == static_cast<int>(i);
      });
      if (known || operand.kind != OperandKind::Optional ||
          versions.front()->attribute(operand.name))
        continue;
      int since = versions.front()->since;
      for (const OpSchema* version : versions)
        if (version->input(operand.name) == static_cast<int>(i)) since = version->since;
      moved.push_back({.name = operand.name,
                       .input = static_cast<int>(i),
                       .since = since,
                       .kind = AttributeKind::Ints});
    }
  return moved;
}

const std::vector<MovedOperand>& moved_operands(std::string_view domain, std::string_view type) {
  struct Known {
    OpTable table;  // shares nothing with rule files' declarations
    std::mutex mutex;
    std::map<std::pair<std::string, std::string>, std::vector<MovedOperand>> operands;
  };
  static Known* const known = new Known;
  const std::lock_guard lock(known->mutex);
  const auto [at, fresh] = known->operands.try_emplace({std::string(domain), std::string(type)});
  if (fresh) at->second = find_moved_operands(known->table, domain, type);
  return at->second;
}

std::string attribute_name(std::string_view domain, std::string_view type, std::string_view name) {
  for (const MovedOperand& moved : moved_operands(domain, type)) {
    if (!moved.operand.empty() && moved.operand == name) return moved.name;
  }
  return std::string(name);
}

int input_of_attribute(std::string_view domain, std::string_view type, std::string_view name) {
  for (const MovedOperand& moved : moved_operands(domain, type)) {
    if (moved.name == name && moved.until == INT_MAX) return moved.input;
  }
  return -1;
}

}  // namespace rulec
