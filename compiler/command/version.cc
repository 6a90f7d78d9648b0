// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "compiler/command/command.h"
#include "compiler/command/console.h"
#include "matcher/op_table.h"
#include "runtime/cpu.h"

namespace rulec::command {

int version(bool json) {
  const std::string isa(name(detected_isa()));
  const int opset = OpTable().newest_opset("");
  if (json) {
    const nlohmann::ordered_json out = {{"rulec", RULEC_VERSION},
                                        {"compiler", "GCC " __VERSION__},
                                        {"cpu", cpu_description()},
                                        {"isa", isa},
                                        {"cores", usable_cores()},
                                        {"targets", {"cpu", "tensorrt", "onnxruntime"}},
                                        {"opset", opset}};
    ::fmt::print("{}\n", out.dump(2));
    return done;
  }
  ::fmt::print("rulec {}\n", RULEC_VERSION);
  ::fmt::print("built with  GCC {}\n", __VERSION__);
  ::fmt::print("processor   {}; kernels for {}; {} core{}\n", cpu_description(), isa,
               usable_cores(), usable_cores() == 1 ? "" : "s");
  ::fmt::print("targets     cpu, tensorrt, onnxruntime\n");
  ::fmt::print("opsets      7 to {}\n", opset);
  return done;
}

}  // namespace rulec::command
