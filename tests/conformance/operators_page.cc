// SPDX-License-Identifier: Apache-2.0

// rulec_operators_page PAGE EXPECTED_FAILURES
//
// docs/operators.md from what the code knows: every operator with a kernel, the opsets at which
// ONNX changed it, its element types, its fast path; then the conformance cases that are known not
// to pass. Exit status 1 where PAGE differs; RULEC_BLESS=1 writes it.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>

#include <fmt/format.h>

#include "compiler/backend/fuse.h"
#include "compiler/backend/lower.h"
#include "matcher/op_table.h"
#include "runtime/generic/kernel.h"

using namespace rulec;

static std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The types of the operands that carry the work: the first that has any.
static std::string elements_of(const OpSchema& schema) {
  static constexpr DType integers[] = {DType::U8,  DType::I8,  DType::U16, DType::I16,
                                       DType::I32, DType::U32, DType::I64, DType::U64};
  for (const Operand& operand : schema.inputs) {
    if (operand.dtypes.empty()) continue;
    std::set<DType> all(operand.dtypes.begin(), operand.dtypes.end());
    std::string out;
    const auto add = [&](std::string_view text) {
      out += out.empty() ? std::string(text) : fmt::format(" {}", text);
    };
    if (std::all_of(std::begin(integers), std::end(integers),
                    [&](DType d) { return all.contains(d); })) {
      for (DType d : integers)
        all.erase(d);
      add("i8–i64 u8–u64");
    }
    for (DType d : all)
      add(name(d));
    return out;
  }
  return "any";
}

static std::string failures(const std::string& path) {
  std::ifstream in(path);
  std::string out, reason;
  std::size_t count = 0;
  const auto flush = [&] {
    if (count > 0) out += fmt::format("| {} | {} |\n", count, reason);
    count = 0;
  };
  bool first = true;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("# ")) {
      flush();
      if (!first) reason = line.substr(2);
      first = false;
    } else if (!line.empty()) {
      ++count;
    }
  }
  flush();
  return out;
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: rulec_operators_page PAGE EXPECTED_FAILURES\n");
    return 2;
  }
  const auto fused = backend::fused_operators();
  if (!fused) {
    fmt::print(stderr, "error: {}\n", fused.error().message);
    return 2;
  }
  std::map<std::pair<std::string, std::string>, std::string> fast;
  for (const auto& op : backend::fast_operators())
    fast[{op.domain, op.type}] = std::string(op.elements);
  for (const OpName& op : *fused)
    fast.try_emplace({op.domain, op.type}, "f32, by rules/lower");
  const OpTable ops;
  std::string page =
      "# Operators\n\n"
      "Written by `tests/conformance/operators_page.cc`; its test fails where this page is not "
      "what the code knows (`RULEC_BLESS=1 ctest --preset dev -R operators_page` writes it).\n\n"
      "Every operator here has a generic kernel: any element type of its schema, any shape, "
      "dynamic or not. *Fast* names the element types for which `rulec build` may choose a fast "
      "kernel, where shapes are known when the engine is built. *Opsets* are those at which ONNX "
      "changed the operator; a model of any opset from 7 on is taken.\n\n"
      "| operator | opsets | element types | fast |\n|---|---|---|---|\n";
  std::size_t count = 0;
  for (const auto& kernel : generic::all_kernels()) {
    if (kernel.domain == "rulec") continue;  // the engine's own
    std::string opsets, elements = "any";
    auto versions = ops.versions(kernel.domain, kernel.type);
    if (!versions.empty()) elements = elements_of(*versions.front());
    std::reverse(versions.begin(), versions.end());
    for (const OpSchema* schema : versions)
      opsets += fmt::format("{}{}", opsets.empty() ? "" : ", ", schema->since);
    const auto found = fast.find({std::string(kernel.domain), std::string(kernel.type)});
    page +=
        fmt::format("| {}{}{} | {} | {} | {} |\n", kernel.domain, kernel.domain.empty() ? "" : ".",
                    kernel.type, opsets, elements, found == fast.end() ? "" : found->second);
    ++count;
  }
  page += fmt::format(
      "\n{} operators.\n\n## What does not pass\n\n"
      "Of ONNX's backend tests these do not pass, in the reference evaluator and in engines with "
      "and without fast kernels (`tests/conformance/expected_failures.txt` names them):\n\n"
      "| cases | why |\n|---|---|\n{}",
      count, failures(argv[2]));
  const std::string path = argv[1];
  if (read(path) == page) return 0;
  if (std::getenv("RULEC_BLESS") != nullptr) {
    std::ofstream(path, std::ios::binary) << page;
    fmt::print("{} written\n", path);
    return 0;
  }
  fmt::print("{} is not what the code knows; run with RULEC_BLESS=1 and read the difference\n",
             path);
  return 1;
}
