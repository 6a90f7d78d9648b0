// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "matcher/graph.h"

namespace rulec {

// Brings the nodes of every graph into an order in which each reads only earlier results, bodies
// included. A graph that is in order stays as it is; elsewhere nodes keep their order as far as
// they can. Gives a node that waits for itself, or none when all is well.
NodeId sort_nodes(Model& model);

}  // namespace rulec
