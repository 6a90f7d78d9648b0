// SPDX-License-Identifier: Apache-2.0
#include "runtime/attribute.h"

#include <algorithm>

namespace rulec {

const AttributeValue* Attributes::find(std::string_view name) const {
  for (const Attribute& attribute : all_) {
    if (attribute.name == name) return &attribute.value;
  }
  return nullptr;
}

void Attributes::set(std::string_view name, AttributeValue value) {
  for (Attribute& attribute : all_) {
    if (attribute.name != name) continue;
    attribute.value = std::move(value);
    return;
  }
  all_.push_back({std::string(name), std::move(value)});
}

bool Attributes::erase(std::string_view name) {
  return std::erase_if(all_, [&](const Attribute& a) { return a.name == name; }) > 0;
}

std::int64_t Attributes::integer(std::string_view name, std::int64_t otherwise) const {
  const auto* value = get<std::int64_t>(name);
  return value ? *value : otherwise;
}

float Attributes::number(std::string_view name, float otherwise) const {
  const auto* value = get<float>(name);
  return value ? *value : otherwise;
}

std::string_view Attributes::text(std::string_view name, std::string_view otherwise) const {
  const auto* value = get<std::string>(name);
  return value ? std::string_view(*value) : otherwise;
}

std::vector<std::int64_t> Attributes::integers(std::string_view name) const {
  const auto* value = get<std::vector<std::int64_t>>(name);
  return value ? *value : std::vector<std::int64_t>();
}

}  // namespace rulec
