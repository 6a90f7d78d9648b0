// SPDX-License-Identifier: Apache-2.0
#pragma once

// An engine of two operations, written by hand, and how to forge engines: for tests of the loader
// and of what uses it.

#include <cstring>

#include "runtime/crc32.h"
#include "runtime/engine_writer.h"

namespace rulec {

// y = x·w + b (fast), then z = Relu(y) (generic), with an If-like body's worth of attributes.
inline std::string small_engine() {
  EngineWriter writer;
  writer.reserve_program();
  writer.begin_program(0);
  const auto x = writer.add_value({.name = "x", .dtype = DType::F32, .dims = {{2, 3}}});
  Tensor w = Tensor::zeros(DType::F32, {3 * 16});
  for (int k = 0; k < 3; ++k)
    w.mutable_data<float>()[k * 16] = static_cast<float>(k + 1);
  Tensor b = Tensor::zeros(DType::F32, {16});
  b.mutable_data<float>()[0] = -5;
  const auto weights = writer.add_weight_value("w", w);
  const auto bias = writer.add_weight_value("b", b);
  const auto y = writer.add_value({.name = "y",
                                   .dtype = DType::F32,
                                   .storage = format::Storage::Arena,
                                   .dims = {{2, 1}},
                                   .bytes = 8});
  const auto z = writer.add_value({.name = "z", .dtype = DType::F32, .dims = {{2, 1}}});
  kernels::GemmParameters p;
  p.rows = 2;
  p.depth = 3;
  p.columns = 1;
  p.has_bias = 1;
  writer.add_op(
      {.opcode = Opcode::Gemm, .name = "product", .parameters = std::as_bytes(std::span(&p, 1))},
      std::vector{x | format::last_use, weights, bias}, std::vector{y});
  const Attributes attributes({{"alpha", 0.5f},
                               {"texts", std::vector<std::string>{"a", "bc"}},
                               {"tensor", Tensor::scalar<std::int64_t>(7)},
                               {"list", std::vector<std::int64_t>{1, 2, 3}},
                               {"names", Tensor::of_strings({2}, {"p", "q"})}});
  writer.add_op({.name = "cut", .type = "LeakyRelu", .opset = 13, .attributes = &attributes},
                std::vector{y}, std::vector{z});
  writer.end_program(std::vector{x}, std::vector{z}, {});
  writer.add_port({.name = "x", .value = x, .type_text = "f32[2,3]", .symbols = {"", "K"}});
  writer.add_port(
      {.name = "z", .is_output = true, .value = z, .type_text = "f32[2,1]", .symbols = {}});
  return writer.finish({.producer = "rulec test", .arena_bytes = 64});
}

// Makes the checksums right again after something was changed.
inline void repair_checksums(std::string& bytes) {
  format::Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  for (format::Section& s : header.table) {
    if (s.offset > bytes.size() || s.size > bytes.size() - s.offset) continue;
    s.crc32c = crc32c(std::as_bytes(std::span(bytes.data() + s.offset, s.size)));
  }
  std::memcpy(bytes.data(), &header, sizeof header);
  const std::uint32_t crc =
      crc32c(std::as_bytes(std::span(bytes.data(), format::header_crc_offset)));
  std::memcpy(bytes.data() + format::header_crc_offset, &crc, sizeof crc);
}

}  // namespace rulec
