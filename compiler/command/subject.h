// SPDX-License-Identifier: Apache-2.0
#pragma once

// A model or an engine from a file, opened to be run: what verify, run and bench work on.
//
//   auto subject = Subject::open("net.onnx", {.how = How::Engine});
//   auto outputs = (*subject)->run(inputs);          // in the order of outputs()

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compiler/command/interface.h"
#include "matcher/evaluate.h"
#include "runtime/session.h"

namespace rulec::command {

// How a model is run; an engine file always runs as what it is.
enum class How {
  Engine,     // built in memory, then run by the runtime
  Reference,  // by the reference evaluator, in the model's own types
  Double,     // by the reference evaluator, in double
};

struct OpenOptions {
  How how = How::Engine;
  int threads = 0;  // 0: all cores
  bool profile = false;
};

class Subject {
 public:
  static Result<std::unique_ptr<Subject>> open(const std::string& path, const OpenOptions& options);

  const std::string& path() const { return path_; }
  const std::vector<Formal>& inputs() const { return inputs_; }
  const std::vector<Formal>& outputs() const { return outputs_; }
  // Inputs by name; those without a default must be there.
  Result<std::vector<Value>> run(const Named& inputs);

  const Model* model() const { return model_ ? &*model_ : nullptr; }  // null for an engine file
  Session* session() { return session_ ? &*session_ : nullptr; }      // null for the evaluator
  Evaluator* evaluator() { return evaluator_.get(); }                 // null for an engine
  double open_seconds() const { return open_seconds_; }  // from the engine's bytes to a session

 private:
  Subject() = default;
  Status open_engine(Result<Engine> engine, const OpenOptions& options);

  std::string path_;
  std::vector<Formal> inputs_, outputs_;
  std::optional<Model> model_;
  std::unique_ptr<Evaluator> evaluator_;
  std::optional<Session> session_;
  double open_seconds_ = 0;
};

// Whether the file starts as an engine does; an Error when it cannot be read.
Result<bool> is_engine_file(const std::string& path);

}  // namespace rulec::command
