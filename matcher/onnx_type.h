// SPDX-License-Identifier: Apache-2.0
#pragma once

// TypeProto and Type, both ways. Denotations and opaque types are not part of a Type: who needs
// them back compares the encoding with the original bytes.

#include <optional>
#include <string_view>

#include "matcher/graph.h"
#include "matcher/wire.h"

namespace rulec {

// The type in a TypeProto; nothing when the bytes are no TypeProto.
std::optional<Type> decode_type(std::string_view bytes);
// A TypeProto's fields; none for an unknown type.
wire::Writer encode_type(const Type& type);

// A StringStringEntryProto; false when it is none.
bool decode_metadata(std::string_view bytes, std::vector<Metadata>& into);
void encode_metadata(wire::Writer& out, std::uint32_t field, const std::vector<Metadata>& all);

}  // namespace rulec
