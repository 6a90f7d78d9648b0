// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <map>

#include <nlohmann/json.hpp>

#include "compiler/command/command.h"
#include "compiler/command/console.h"
#include "compiler/command/flops.h"
#include "compiler/command/model_warnings.h"
#include "compiler/command/report.h"
#include "compiler/command/subject.h"
#include "matcher/file.h"
#include "matcher/onnx_io.h"
#include "runtime/format.h"

namespace rulec::command {

using Json = nlohmann::ordered_json;

static Json of_formals(const std::vector<Formal>& formals) {
  Json out = Json::array();
  for (const Formal& formal : formals) {
    Json shape;
    if (formal.type.dims) {
      shape = Json::array();
      for (const Dim& dim : *formal.type.dims)
        shape.push_back(dim.known()          ? Json(dim.size)
                        : dim.symbol.empty() ? Json()
                                             : Json(dim.symbol));
    }
    Json entry = {{"name", formal.name},
                  {"dtype", formal.type.is_tensor() ? std::string(name(formal.type.dtype))
                                                    : to_string(formal.type)},
                  {"shape", shape}};
    if (formal.has_default) entry["has_default"] = true;
    out.push_back(std::move(entry));
  }
  return out;
}

static void print_formals(std::string_view what, const std::vector<Formal>& formals) {
  for (const Formal& formal : formals)
    ::fmt::print("{:12}{} {}{}\n", what, formal.name, to_string(formal.type),
                 formal.has_default ? " (has a default)" : "");
}

static std::string bytes_text(double bytes) {
  if (bytes >= 1e9) return ::fmt::format("{:.2f} GB", bytes / 1e9);
  if (bytes >= 1e6) return ::fmt::format("{:.2f} MB", bytes / 1e6);
  if (bytes >= 1e3) return ::fmt::format("{:.1f} kB", bytes / 1e3);
  return ::fmt::format("{:.0f} B", bytes);
}

static Json counts_json(const std::vector<std::pair<std::string, std::size_t>>& counts) {
  Json out = Json::object();
  for (const auto& [op, count] : counts)
    out[op] = count;
  return out;
}

static void print_counts(const std::vector<std::pair<std::string, std::size_t>>& counts) {
  std::string line;
  for (const auto& [op, count] : counts) {
    const std::string next = ::fmt::format("{}{} {}", line.empty() ? "" : " · ", op, count);
    if (line.size() + next.size() > 100) {
      ::fmt::print("  {}\n", line);
      line = ::fmt::format("{} {}", op, count);
    } else {
      line += next;
    }
  }
  if (!line.empty()) ::fmt::print("  {}\n", line);
}

namespace {

struct Totals {
  std::int64_t tensors = 0, elements = 0;
  double bytes = 0, external_bytes = 0, flops = 0;
  std::size_t bodies = 0, body_nodes = 0, unknown_flops = 0;
};

}  // namespace

static Totals totals_of(const Model& model) {
  Totals out;
  for (std::uint32_t i = 0; i < model.value_capacity(); ++i) {
    const GraphValue& value = model.value(ValueId{i});
    if (!value.alive || !value.initializer) continue;
    ++out.tensors;
    out.elements += value.initializer->size();
    out.bytes += static_cast<double>(value.initializer->byte_size());
    if (value.source && !value.source->external.empty())
      out.external_bytes += static_cast<double>(value.initializer->byte_size());
  }
  for (std::uint32_t i = 0; i < model.node_capacity(); ++i) {
    const GraphNode& node = model.node(NodeId{i});
    if (!node.alive) continue;
    // Weights of some exporters stand in Constant nodes.
    if (node.type == "Constant")
      if (const auto* tensor = node.attributes.get<Tensor>("value");
          tensor && tensor->size() > 16) {
        ++out.tensors;
        out.elements += tensor->size();
        out.bytes += static_cast<double>(tensor->byte_size());
      }
    const bool nested = node.graph != model.main();
    out.body_nodes += nested ? 1 : 0;
    if (nested) continue;  // how often a body runs is not known
    const auto flops = flops_of(model, NodeId{i});
    out.flops += flops.value_or(0);
    if (!flops) ++out.unknown_flops;
  }
  for (std::uint32_t i = 0; i < model.graph_capacity(); ++i) {
    const GraphInfo& graph = model.graph(GraphId{i});
    if (graph.alive && graph.owner) ++out.bodies;
  }
  return out;
}

static std::string values_text(const Model& model, const std::vector<ValueId>& values) {
  std::string out;
  for (const ValueId id : values)
    out += ::fmt::format("{}{}", out.empty() ? "" : ", ", id ? model.value(id).name : "-");
  return out;
}

static void print_nodes(const Model& model, GraphId graph, int depth) {
  for (const NodeId id : model.nodes(graph)) {
    const GraphNode& node = model.node(id);
    ::fmt::print("{:{}}{}{}{} `{}` ({}) -> {}", "", 2 * depth + 2, node.domain,
                 node.domain.empty() ? "" : "::", node.type, node.name,
                 values_text(model, node.inputs), values_text(model, node.outputs));
    if (!node.outputs.empty() && node.outputs.front())
      ::fmt::print(" : {}", to_string(model.value(node.outputs.front()).type));
    ::fmt::print("\n");
    for (const GraphId body : model.bodies(id))
      print_nodes(model, body, depth + 1);
  }
}

static Json nodes_json(const Model& model) {
  Json out = Json::array();
  for (std::uint32_t i = 0; i < model.node_capacity(); ++i) {
    const GraphNode& node = model.node(NodeId{i});
    if (!node.alive) continue;
    Json inputs = Json::array(), outputs = Json::array();
    for (const ValueId id : node.inputs)
      inputs.push_back(id ? model.value(id).name : "");
    for (const ValueId id : node.outputs)
      outputs.push_back(id ? model.value(id).name : "");
    const auto flops = flops_of(model, NodeId{i});
    out.push_back({{"name", node.name},
                   {"op", std::string(node.type)},
                   {"domain", std::string(node.domain)},
                   {"inputs", inputs},
                   {"outputs", outputs},
                   {"gflop", flops ? Json(*flops / 1e9) : Json()}});
  }
  return out;
}

static int inspect_model(const InspectOptions& options) {
  auto model = import_onnx(options.file);
  if (!model) {
    complain("{}", model.error().message);
    return input_fault;
  }
  std::vector<std::string> warnings = model_warnings(*model);
  infer_types(*model, warnings);
  warn(warnings);
  const Totals totals = totals_of(*model);
  const auto counts = count_operators(*model);
  if (options.json) {
    Json opsets = Json::object(), metadata = Json::object();
    for (const auto& [domain, version] : model->opset_imports)
      opsets[domain] = version;
    for (const Metadata& entry : model->metadata)
      metadata[entry.key] = entry.value;
    Json out = {{"kind", "model"},
                {"path", options.file},
                {"opset", model->opset("")},
                {"opsets", opsets},
                {"ir_version", model->ir_version},
                {"producer", model->producer_name},
                {"producer_version", model->producer_version},
                {"metadata", metadata},
                {"inputs", of_formals(inputs_of(*model))},
                {"outputs", of_formals(outputs_of(*model))},
                {"nodes", model->live_nodes()},
                {"bodies", totals.bodies},
                {"functions", model->functions.size()},
                {"ops", counts_json(counts)},
                {"parameters", totals.elements},
                {"parameter_bytes", totals.bytes},
                {"external_bytes", totals.external_bytes},
                {"gflop", totals.flops / 1e9},
                {"nodes_of_unknown_gflop", totals.unknown_flops}};
    if (options.ops) out["node_list"] = nodes_json(*model);
    ::fmt::print("{}\n", out.dump(2, ' ', false, Json::error_handler_t::replace));
    return done;
  }
  std::string opsets;
  for (const auto& [domain, version] : model->opset_imports)
    opsets += ::fmt::format("{}{} {}", opsets.empty() ? "" : ", ",
                            domain.empty() ? "ai.onnx" : domain, version);
  ::fmt::print("{:12}{}\n", "model", options.file);
  ::fmt::print("{:12}{} {} (IR version {}, opsets: {})\n", "made by",
               model->producer_name.empty() ? "?" : model->producer_name, model->producer_version,
               model->ir_version, opsets);
  print_formals("input", inputs_of(*model));
  print_formals("output", outputs_of(*model));
  ::fmt::print("{:12}{} in {} tensors, {}", "parameters", totals.elements, totals.tensors,
               bytes_text(totals.bytes));
  if (totals.external_bytes > 0)
    ::fmt::print(" ({} in other files)", bytes_text(totals.external_bytes));
  ::fmt::print("\n{:12}{:.4f} GFLOP a run", "work", totals.flops / 1e9);
  if (totals.unknown_flops > 0)
    ::fmt::print(", and {} nodes of unknown sizes", totals.unknown_flops);
  ::fmt::print("\n{:12}{}", "nodes", model->live_nodes());
  if (totals.bodies > 0)
    ::fmt::print(", {} of them in {} nested graph{}", totals.body_nodes, totals.bodies,
                 totals.bodies == 1 ? "" : "s");
  if (!model->functions.empty()) ::fmt::print(", {} functions", model->functions.size());
  ::fmt::print("\n");
  print_counts(counts);
  for (const Metadata& entry : model->metadata)
    ::fmt::print("{:12}{} = {}\n", "metadata", entry.key,
                 entry.value.size() > 60 ? entry.value.substr(0, 60) + "…" : entry.value);
  if (options.ops) print_nodes(*model, model->main(), 0);
  return done;
}

static Json plan_json(const Engine& engine) {
  Json plan = Json::array();
  for (const Engine::Place& p : engine.memory_plan()) {
    plan.push_back({{"name", p.name},
                    {"offset", p.offset},
                    {"bytes", p.bytes},
                    {"from", p.from},
                    {"to", p.to}});
  }
  return plan;
}

// The arena from its first byte (below) to its last, and the operations from left to right: which
// value stands where when. Neighbours have different letters.
static void draw_memory_plan(const Engine& engine) {
  const std::vector<Engine::Place> plan = engine.memory_plan();
  const auto arena = static_cast<double>(engine.arena_bytes());
  const std::size_t operations = engine.operations().size();
  if (plan.empty() || operations == 0) return;
  const std::size_t columns = std::min<std::size_t>(operations, 72), rows = 16;
  std::vector<std::string> picture(rows, std::string(columns, ' '));
  static constexpr std::string_view letters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      const double byte = (static_cast<double>(r) + 0.5) * arena / rows;
      const std::size_t operation = (2 * c + 1) * operations / (2 * columns);
      for (std::size_t i = 0; i < plan.size(); ++i) {
        const auto begin = static_cast<double>(plan[i].offset);
        if (plan[i].from <= operation && operation <= plan[i].to && begin <= byte &&
            byte < begin + static_cast<double>(plan[i].bytes)) {
          picture[rows - 1 - r][c] = letters[i % letters.size()];
        }
      }
    }
  }
  const auto least = static_cast<double>(engine.least_arena_bytes());
  ::fmt::print("memory plan: {} values in {}; {} live at once, so {:.2f} times the least\n",
               plan.size(), bytes_text(arena), bytes_text(least), arena / least);
  for (std::size_t r = 0; r < rows; ++r) {
    const double top = static_cast<double>(rows - r) * arena / rows;
    ::fmt::print("  {:>10} |{}|\n", bytes_text(top), picture[r]);
  }
  ::fmt::print("  {:>10}  operation 0 … {}\n", "", operations - 1);
}

static int inspect_engine(const InspectOptions& options) {
  const auto engine = Engine::load(options.file);
  if (!engine) {
    complain("{}", engine.error().message);
    return input_fault;
  }
  const auto file = MappedFile::open(options.file);
  if (!file) {
    complain("{}", file.error().message);
    return input_fault;
  }
  format::Header header;
  std::memcpy(&header, (*file)->bytes().data(), sizeof header);
  constexpr std::array<std::string_view, format::section_count> section_names = {
      "strings",  "string refs", "integers", "values",     "operands", "ops",
      "programs", "attributes",  "ports",    "parameters", "sizes",    "weights"};
  const auto operations = engine->operations();
  std::map<std::string, std::size_t> by_kernel;
  double flops = 0;
  for (const Engine::Operation& operation : operations) {
    ++by_kernel[operation.kernel];
    flops += operation.flops;
  }
  std::vector<std::pair<std::string, std::size_t>> counts(by_kernel.begin(), by_kernel.end());
  std::stable_sort(counts.begin(), counts.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  if (options.json) {
    Json sections = Json::array(), list = Json::array();
    for (std::size_t i = 0; i < format::section_count; ++i)
      sections.push_back({{"name", section_names[i]},
                          {"offset", header.table[i].offset},
                          {"bytes", header.table[i].size}});
    for (const Engine::Operation& operation : operations)
      list.push_back({{"kernel", operation.kernel},
                      {"name", operation.name},
                      {"gflop", operation.flops / 1e9}});
    Json out = {{"kind", "engine"},
                {"path", options.file},
                {"opset", nullptr},
                {"format", ::fmt::format("{}.{}", header.major, header.minor)},
                {"producer", engine->producer()},
                {"isa", name(engine->isa())},
                {"inputs", of_formals(inputs_of(*engine))},
                {"outputs", of_formals(outputs_of(*engine))},
                {"nodes", operations.size()},
                {"ops", counts_json(counts)},
                {"parameters", nullptr},
                {"gflop", flops / 1e9},
                {"file_bytes", engine->file_bytes()},
                {"arena_bytes", engine->arena_bytes()},
                {"least_arena_bytes", engine->least_arena_bytes()},
                {"weight_bytes", engine->weight_bytes()},
                {"sections", sections},
                {"model_sha256", engine->model_sha256()},
                {"rules_sha256", engine->rules_sha256()}};
    if (options.ops) out["operations"] = list;
    if (options.ops) out["memory_plan"] = plan_json(*engine);
    ::fmt::print("{}\n", out.dump(2, ' ', false, Json::error_handler_t::replace));
    return done;
  }
  ::fmt::print("{:12}{} ({}, format {}.{})\n", "engine", options.file,
               bytes_text(static_cast<double>(engine->file_bytes())), header.major, header.minor);
  ::fmt::print("{:12}{}\n", "made by", engine->producer());
  ::fmt::print("{:12}{}\n", "of model", engine->model_sha256());
  ::fmt::print("{:12}{}\n", "with rules", engine->rules_sha256());
  ::fmt::print("{:12}{} on this processor\n", "kernels", name(engine->isa()));
  print_formals("input", inputs_of(*engine));
  print_formals("output", outputs_of(*engine));
  ::fmt::print("{:12}{} of weights, {} of arena\n", "memory",
               bytes_text(static_cast<double>(engine->weight_bytes())),
               bytes_text(static_cast<double>(engine->arena_bytes())));
  ::fmt::print("{:12}{:.4f} GFLOP a run\n", "work", flops / 1e9);
  ::fmt::print("{:12}{}\n", "operations", operations.size());
  print_counts(counts);
  ::fmt::print("sections\n");
  for (std::size_t i = 0; i < format::section_count; ++i)
    ::fmt::print("  {:12}{:>12} at {}\n", section_names[i], header.table[i].size,
                 header.table[i].offset);
  draw_memory_plan(*engine);
  if (options.ops) ::fmt::print("{}", engine->dump());
  return done;
}

int inspect(const InspectOptions& options) {
  const auto engine = is_engine_file(options.file);
  if (!engine) {
    complain("{}", engine.error().message);
    return input_fault;
  }
  return *engine ? inspect_engine(options) : inspect_model(options);
}

}  // namespace rulec::command
