// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include <nlohmann/json.hpp>

#include "compiler/command/command.h"
#include "compiler/command/console.h"
#include "compiler/command/subject.h"
#include "compiler/draw.h"
#include "compiler/image.h"
#include "compiler/npy.h"
#include "matcher/edit_distance.h"
#include "matcher/file.h"
#include "matcher/onnx_value.h"
#include "runtime/convert.h"

namespace rulec::command {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

namespace {

// The inputs of a run, and the picture among them, for --draw.
struct Given {
  Named values;
  std::string picture;        // its path
  int height = 0, width = 0;  // of the picture as the model sees it
};

}  // namespace

static bool is_picture(const std::string& path) {
  std::string extension = fs::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

static const Formal* find(const std::vector<Formal>& formals, const std::string& name) {
  for (const Formal& formal : formals)
    if (formal.name == name) return &formal;
  return nullptr;
}

// "NAME=FILE", or "FILE" where the input is plain. A name may hold `=`: the longest one that is an
// input's counts.
static Result<std::pair<const Formal*, std::string>> split(const Subject& subject,
                                                           const std::string& argument) {
  for (std::size_t at = argument.rfind('='); at != argument.npos && at > 0;
       at = argument.rfind('=', at - 1))
    if (const Formal* formal = find(subject.inputs(), argument.substr(0, at)))
      return std::pair{formal, argument.substr(at + 1)};
  std::error_code code;
  const std::size_t equals = argument.find('=');
  if (equals != argument.npos && !fs::exists(argument, code)) {
    const std::string name = argument.substr(0, equals);
    std::vector<std::string> names;
    for (const Formal& formal : subject.inputs())
      names.push_back(formal.name);
    const std::string near = nearest_name(name, names);
    return make_error("there is no input `{}`{}; inputs: {}", name,
                      near.empty() ? "" : ::fmt::format(" (did you mean `{}`?)", near),
                      list(subject.inputs()));
  }
  if (subject.inputs().size() == 1) return std::pair{&subject.inputs().front(), argument};
  // A picture finds its input when only one can take it.
  if (is_picture(argument)) {
    const Formal* only = nullptr;
    int count = 0;
    for (const Formal& formal : subject.inputs())
      if (image_layout(formal.type)) {
        only = &formal;
        ++count;
      }
    if (count == 1) return std::pair{only, argument};
  }
  return make_error("`{}`: which input is it for? write NAME=FILE; inputs: {}", argument,
                    list(subject.inputs()));
}

static Result<Given> read_given(const Subject& subject, const RunOptions& options) {
  Given given;
  const auto add = [&](const std::string& name, Value value) -> Status {
    for (const auto& [known, other] : given.values)
      if (known == name) return make_error("the input `{}` is given twice", name);
    given.values.emplace_back(name, std::move(value));
    return Done{};
  };
  for (const std::string& argument : options.inputs) {
    std::vector<std::string> notes;
    std::error_code code;
    if (argument.ends_with(".npz") && fs::exists(argument, code)) {
      const auto arrays = read_npz(argument);
      if (!arrays) return arrays.error();
      bool any = false;
      for (const auto& [name, tensor] : *arrays) {
        const Formal* formal = find(subject.inputs(), name);
        if (formal == nullptr) continue;
        if (const Status status = check_input(*formal, tensor); !status)
          return make_error("`{}`: {}", argument, status.error().message);
        if (const Status status = add(name, tensor); !status) return status.error();
        any = true;
      }
      if (any) continue;
      if (arrays->size() != 1 || subject.inputs().size() != 1)
        return make_error("`{}` has no array named like an input; inputs: {}", argument,
                          list(subject.inputs()));
    }
    const auto parts = split(subject, argument);
    if (!parts) return parts.error();
    const auto& [formal, path] = *parts;
    if (path.empty())
      return make_error("--input {}: the file's name is missing; write NAME=FILE", argument);
    auto value = read_input(*formal, path, notes);
    if (!value) return value.error();
    for (const std::string& note : notes)
      complain("note: {}", note);
    if (is_picture(path) && given.picture.empty()) {
      given.picture = path;
      if (const auto layout = image_layout(formal->type)) {
        const Shape& shape = value->tensor().shape();
        const std::size_t first = shape.size() - (layout->channels_first ? 2 : 3);
        given.height = static_cast<int>(shape[first]);
        given.width = static_cast<int>(shape[first + 1]);
      }
    }
    if (const Status status = add(formal->name, std::move(*value)); !status) return status.error();
  }
  std::vector<Formal> missing;
  for (const Formal& formal : subject.inputs()) {
    if (formal.has_default) continue;
    const bool there = std::any_of(given.values.begin(), given.values.end(),
                                   [&](const auto& value) { return value.first == formal.name; });
    if (there) continue;
    if (!options.make_up) {
      missing.push_back(formal);
      continue;
    }
    auto made = make_input(formal, subject.inputs(), options.seed, 0);
    if (!made) return made.error();
    given.values.emplace_back(formal.name, std::move(*made));
  }
  if (!missing.empty())
    return make_error(
        "no value for the input{} {}; give --input NAME=FILE, or --seed N to make it up",
        missing.size() == 1 ? "" : "s", list(missing));
  return given;
}

// A sequence's or optional's type, as far as the value tells.
static std::string type_text(const Value& value) {
  if (value.is_tensor()) return std::string(name(value.tensor().dtype()));
  if (const auto* sequence = std::get_if<Sequence>(&value.data))
    return ::fmt::format("seq({})", sequence->items && !sequence->items->empty()
                                        ? type_text(sequence->items->front())
                                        : std::string(name(sequence->element)));
  if (const auto* optional = std::get_if<Optional>(&value.data))
    return ::fmt::format("optional({})", optional->held ? type_text(*optional->held) : "?");
  if (const auto* map = std::get_if<Map>(&value.data))
    return ::fmt::format("map({},{})", name(map->keys.dtype()), name(map->values.dtype()));
  return "?";
}

static Json shape_json(const Value& value) {
  return value.is_tensor() ? Json(value.tensor().shape()) : Json();
}

// Writes the outputs and returns the manifest; every file whole, the manifest last.
static Result<Json> write_outputs(const Subject& subject, const std::vector<Value>& values,
                                  const RunOptions& options) {
  std::error_code code;
  fs::create_directories(options.out, code);
  if (code) return make_error("cannot make the folder `{}`: {}", options.out, code.message());
  Json manifest = Json::array();
  std::set<std::string> used = {"manifest.json"};
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string& name = subject.outputs()[i].name;
    const Value& value = values[i];
    const bool npy =
        options.format == "npy" && value.is_tensor() && npy_holds(value.tensor().dtype());
    std::string file;
    if (options.format == "pb") {
      file = ::fmt::format("output_{}.pb", i);
    } else {
      // Names that become equal as file names are told apart by a number.
      const std::string stem = file_name_of(name), extension = npy ? ".npy" : ".pb";
      file = stem + extension;
      for (int n = 1; !used.insert(file).second; ++n)
        file = ::fmt::format("{}_{}{}", stem, n, extension);
    }
    const fs::path path = fs::path(options.out) / file;
    const Status written = npy ? write_npy(path, value.tensor()) : write_value(path, name, value);
    if (!written) return written.error();
    manifest.push_back({{"name", name},
                        {"file", file},
                        {"dtype", type_text(value)},
                        {"shape", shape_json(value)}});
  }
  const std::string text = manifest.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  if (const Status status = write_file(fs::path(options.out) / "manifest.json", text); !status)
    return status.error();
  return manifest;
}

static std::string summary(const Value& value) {
  if (!value.is_tensor()) {
    const auto* sequence = std::get_if<Sequence>(&value.data);
    return ::fmt::format("{}{}", type_text(value),
                         sequence != nullptr && sequence->items
                             ? ::fmt::format(" of {} items", sequence->items->size())
                             : std::string());
  }
  const Tensor& tensor = value.tensor();
  std::string out = to_string(Type::tensor(tensor.dtype(), tensor.shape()));
  if (tensor.size() == 0) return out + "  empty";
  constexpr std::int64_t most = 6;
  std::string first;
  const std::int64_t shown = std::min(most, tensor.size());
  if (tensor.dtype() == DType::String) {
    for (std::int64_t i = 0; i < shown; ++i)
      first += ::fmt::format("{}\"{}\"", i == 0 ? "" : ", ",
                             tensor.strings()[static_cast<std::size_t>(i)]);
    return ::fmt::format("{}  [{}{}]", out, first, shown < tensor.size() ? ", …" : "");
  }
  if (is_complex(tensor.dtype())) return out;
  const std::vector<double> numbers = tensor.numbers();
  double low = INFINITY, high = -INFINITY, sum = 0;
  std::size_t strange = 0;
  for (const double number : numbers) {
    if (!std::isfinite(number)) {
      ++strange;
      continue;
    }
    low = std::min(low, number);
    high = std::max(high, number);
    sum += number;
  }
  const auto finite = numbers.size() - strange;
  for (std::int64_t i = 0; i < shown; ++i)
    first += ::fmt::format("{}{:.6g}", i == 0 ? "" : ", ", numbers[static_cast<std::size_t>(i)]);
  if (finite > 0)
    out += ::fmt::format("  min {:.6g}  mean {:.6g}  max {:.6g}", low,
                         sum / static_cast<double>(finite), high);
  if (strange > 0) out += ::fmt::format("  not finite {}", strange);
  return ::fmt::format("{}  [{}{}]", out, first, shown < tensor.size() ? ", …" : "");
}

static Result<std::vector<std::string>> read_labels(const std::string& path) {
  std::vector<std::string> labels;
  if (path.empty()) return labels;
  const auto file = MappedFile::open(path);
  if (!file) return file.error();
  std::string_view text = (*file)->bytes();
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    labels.emplace_back(line);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  while (!labels.empty() && labels.back().empty())
    labels.pop_back();
  return labels;
}

static Status draw(const Subject& subject, const std::vector<Value>& values, const Given& given,
                   const RunOptions& options) {
  const auto labels = read_labels(options.labels);
  if (!labels) return labels.error();
  Named outputs;
  for (std::size_t i = 0; i < values.size(); ++i)
    outputs.emplace_back(subject.outputs()[i].name, values[i]);
  const auto found = find_detections(outputs, given.height, given.width);
  if (!found) return found.error();
  const auto picture = read_image(given.picture);
  if (!picture) return picture.error();
  fs::path path = fs::path(given.picture).filename();
  path.replace_extension(".detections.png");
  if (!options.out.empty()) {
    std::error_code code;
    fs::create_directories(options.out, code);
    path = fs::path(options.out) / path;
  }
  if (const Status status =
          write_png(path, draw_boxes(*picture, *found, *labels, options.threshold));
      !status)
    return status.error();
  std::size_t shown = 0;
  for (const Detection& item : found->items) {
    if (item.score < options.threshold) continue;
    ++shown;
    if (!options.json)
      ::fmt::print("{:>5.1f} %  {:12} top {:.3f} left {:.3f} bottom {:.3f} right {:.3f}\n",
                   100 * item.score, label_of(item.category, *labels, found->first_class), item.top,
                   item.left, item.bottom, item.right);
  }
  complain("{} detections of at least {} are drawn in {}", shown, options.threshold, path.string());
  return Done{};
}

int run_model(const RunOptions& options) {
  if (!options.labels.empty() && options.draw.empty()) {
    complain("--labels names the classes of --draw boxes, which is not given");
    return usage_fault;
  }
  const auto fail = [](const Error& error) {
    complain("{}", error.message);
    return input_fault;
  };
  auto subject = Subject::open(
      options.file,
      {.how = options.reference ? How::Reference : How::Engine, .threads = options.threads});
  if (!subject) return fail(subject.error());
  if (options.reference && (*subject)->session() != nullptr)
    return fail(make_error("--reference runs models; `{}` is an engine", options.file));
  const auto given = read_given(**subject, options);
  if (!given) return fail(given.error());
  if (!options.draw.empty() && given->picture.empty())
    return fail(make_error("--draw boxes needs a picture: give one with --input NAME=FILE.png"));
  Progress progress("running");
  const auto values = (*subject)->run(given->values);
  if (!values) return fail(values.error());
  Json manifest;
  if (!options.out.empty()) {
    auto written = write_outputs(**subject, *values, options);
    if (!written) return fail(written.error());
    manifest = std::move(*written);
  }
  if (options.json) {
    if (options.out.empty()) {
      manifest = Json::array();
      for (std::size_t i = 0; i < values->size(); ++i)
        manifest.push_back({{"name", (*subject)->outputs()[i].name},
                            {"file", nullptr},
                            {"dtype", type_text((*values)[i])},
                            {"shape", shape_json((*values)[i])}});
    }
    ::fmt::print("{}\n", manifest.dump(2, ' ', false, Json::error_handler_t::replace));
  } else if (options.out.empty()) {
    for (std::size_t i = 0; i < values->size(); ++i)
      ::fmt::print("{}  {}\n", (*subject)->outputs()[i].name, summary((*values)[i]));
  } else {
    ::fmt::print("{} output{} in {}\n", values->size(), values->size() == 1 ? "" : "s",
                 options.out);
  }
  if (!options.draw.empty())
    if (const Status status = draw(**subject, *values, *given, options); !status)
      return fail(status.error());
  return done;
}

}  // namespace rulec::command
