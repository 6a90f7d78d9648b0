// SPDX-License-Identifier: Apache-2.0
// Attributes of generic operations, as they lie in the file.
#include <bit>

#include "runtime/engine_state.h"

namespace rulec {

using State = Engine::State;

Attributes decode_attributes(const State& s, const format::Op& op) {
  std::vector<Attribute> all;
  for (const format::Attribute& a : s.attributes.subspan(op.first_attribute, op.attributes)) {
    AttributeValue value;
    const auto integers = s.integers;
    switch (a.kind) {
      case format::AttributeKind::Integer:
        value = a.bits;
        break;
      case format::AttributeKind::Number:
        value = std::bit_cast<float>(static_cast<std::uint32_t>(a.bits));
        break;
      case format::AttributeKind::Text:
        value = std::string(s.text(a.first));
        break;
      case format::AttributeKind::Type:
        value = TypeBytes{std::string(s.text(a.first))};
        break;
      case format::AttributeKind::Tensor:
        value = s.weight(s.values[a.first]);
        break;
      case format::AttributeKind::Body:
        value = GraphId{a.first};
        break;
      case format::AttributeKind::Integers: {
        const auto list = integers.subspan(a.first, a.count);
        value = std::vector<std::int64_t>(list.begin(), list.end());
        break;
      }
      case format::AttributeKind::Numbers: {
        std::vector<float> list;
        for (std::int64_t i : integers.subspan(a.first, a.count)) {
          list.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(i)));
        }
        value = std::move(list);
        break;
      }
      case format::AttributeKind::Texts: {
        std::vector<std::string> list;
        for (std::uint32_t i = 0; i < a.count; ++i)
          list.emplace_back(s.text(a.first + i));
        value = std::move(list);
        break;
      }
      case format::AttributeKind::Tensors: {
        std::vector<Tensor> list;
        for (std::uint32_t i = 0; i < a.count; ++i)
          list.push_back(s.weight(s.values[a.first + i]));
        value = std::move(list);
        break;
      }
      case format::AttributeKind::Bodies: {
        std::vector<GraphId> list;
        for (std::int64_t i : integers.subspan(a.first, a.count)) {
          list.push_back({static_cast<std::uint32_t>(i)});
        }
        value = std::move(list);
        break;
      }
      case format::AttributeKind::SparseTensor: {
        const auto shape = integers.subspan(a.extra, a.count);
        value = SparseTensor{s.weight(s.values[a.first]),
                             s.weight(s.values[a.first + 1]),
                             {shape.begin(), shape.end()}};
        break;
      }
    }
    all.push_back({std::string(s.text(a.name)), std::move(value)});
  }
  return Attributes(std::move(all));
}

}  // namespace rulec
