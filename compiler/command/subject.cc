// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/subject.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "compiler/backend/build.h"
#include "compiler/command/console.h"
#include "matcher/file.h"
#include "matcher/onnx_io.h"
#include "runtime/format.h"

namespace rulec::command {

Result<bool> is_engine_file(const std::string& path) {
  const auto file = MappedFile::open(path);
  if (!file) return file.error();
  const std::string_view bytes = (*file)->bytes();
  return bytes.size() >= format::magic.size() &&
         std::memcmp(bytes.data(), format::magic.data(), format::magic.size()) == 0;
}

static double since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Status Subject::open_engine(Result<Engine> engine, const OpenOptions& options) {
  if (!engine) return engine.error();
  inputs_ = inputs_of(*engine);
  outputs_ = outputs_of(*engine);
  auto session =
      Session::create(*engine, {.threads = options.threads > 0 ? options.threads : usable_cores(),
                                .profile = options.profile});
  if (!session) return session.error();
  session_.emplace(std::move(*session));
  return Done{};
}

Result<std::unique_ptr<Subject>> Subject::open(const std::string& path,
                                               const OpenOptions& options) {
  const auto engine_file = is_engine_file(path);
  if (!engine_file) return engine_file.error();
  std::unique_ptr<Subject> subject(new Subject);
  subject->path_ = path;
  if (*engine_file) {
    const auto start = std::chrono::steady_clock::now();
    if (const Status status = subject->open_engine(Engine::load(path), options); !status)
      return status.error();
    subject->open_seconds_ = since(start);
    return subject;
  }
  auto model = import_onnx(path);
  if (!model) return model.error();
  std::vector<std::string> warnings;  // types only help here: what stays unknown is asked for later
  infer_types(*model, warnings);
  if (options.how == How::Engine) {
    Progress progress(::fmt::format("building {}", path));
    rulec::BuildOptions building;
    building.isa = detected_isa();
    building.producer = "rulec " RULEC_VERSION;
    auto built = build_engine(*model, building);
    if (!built) return built.error();
    const auto start = std::chrono::steady_clock::now();
    if (const Status status =
            subject->open_engine(Engine::load_bytes(std::move(built->bytes)), options);
        !status)
      return status.error();
    subject->open_seconds_ = since(start);
  }
  subject->model_.emplace(std::move(*model));
  if (options.how != How::Engine) {
    subject->inputs_ = inputs_of(*subject->model_);
    subject->outputs_ = outputs_of(*subject->model_);
    subject->evaluator_ = std::make_unique<Evaluator>(
        *subject->model_,
        EvaluateOptions{.precision =
                            options.how == How::Double ? Precision::Double : Precision::Model});
  }
  return subject;
}

Result<std::vector<Value>> Subject::run(const Named& inputs) {
  for (const auto& [name, value] : inputs) {
    const auto formal = std::find_if(inputs_.begin(), inputs_.end(),
                                     [&](const Formal& one) { return one.name == name; });
    if (formal == inputs_.end())
      return make_error("`{}` has no input `{}`; inputs: {}", path_, name, list(inputs_));
    if (const Status status = check_input(*formal, value); !status) return status.error();
  }
  for (const Formal& formal : inputs_)
    if (!formal.has_default && std::none_of(inputs.begin(), inputs.end(), [&](const auto& given) {
          return given.first == formal.name;
        }))
      return make_error("the input `{}` ({}) is missing", formal.name, to_string(formal.type));
  if (session_) return session_->run(inputs);
  const GraphInfo& graph = model_->graph(model_->main());
  std::vector<std::pair<ValueId, Value>> feeds;
  for (const ValueId id : graph.inputs)
    for (const auto& [name, value] : inputs)
      if (model_->value(id).name == name) feeds.emplace_back(id, value);
  return evaluator_->run(feeds, graph.outputs);
}

}  // namespace rulec::command
