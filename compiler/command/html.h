// SPDX-License-Identifier: Apache-2.0
#pragma once

// Pages that stand alone: no network, no script from elsewhere. For reports of a rewrite and of
// explain.

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "matcher/graph.h"

namespace rulec::command {

std::string escaped(std::string_view text);
std::string html_page(std::string_view title, std::string_view body);

// These nodes and the edges between them, from top to bottom; what they read from elsewhere is
// written beside them. `marked` ones stand out.
std::string picture(const Model& model, const std::vector<NodeId>& nodes,
                    const std::set<NodeId>& marked);

}  // namespace rulec::command
