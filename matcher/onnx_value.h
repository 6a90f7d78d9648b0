// SPDX-License-Identifier: Apache-2.0
#pragma once

// The `.pb` files that hold one value each: test data and dumps (TensorProto, SequenceProto,
// OptionalProto, MapProto). The file does not say which of them it is: the caller does.
//
//   auto value = read_value("input_0.pb", model.value(input).type);

#include <filesystem>
#include <string>
#include <string_view>

#include "matcher/type.h"
#include "runtime/result.h"
#include "runtime/value.h"

namespace rulec {

// `type`: what the value is declared to be; only its kinds are looked at, and an unknown one is
// read as a tensor.
Result<Value> read_value(const std::filesystem::path& path, const Type& type);

// The message that read_value reads, under `name`.
std::string encode_value(std::string_view name, const Value& value);
Status write_value(const std::filesystem::path& path, std::string_view name, const Value& value);

}  // namespace rulec
