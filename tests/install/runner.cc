// SPDX-License-Identifier: Apache-2.0
// The runtime alone: no ONNX, no protobuf. What is no engine is refused.
#include "runtime/engine.h"

int main() {
  return rulec::Engine::load_bytes("not an engine") ? 1 : 0;
}
