// SPDX-License-Identifier: Apache-2.0
#include "runtime/generic/plugins_nms.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "runtime/generic/elements.h"
#include "runtime/generic/families.h"
#include "runtime/generic/operands.h"

// TensorRT's plugins that suppress class by class: BatchedNMS and NMS_TRT (SSD).
namespace rulec::generic {
namespace {

// What BatchedNMS and NMS_TRT have in common once boxes and scores are in order.
struct ClassNms {
  std::int64_t classes = 0, boxes = 0, background = -1;
  std::int64_t top_k = 0, keep_top_k = 0;
  double score_threshold = 0, iou_threshold = 0;
  bool normalized = true, caffe = true;
  int score_bits = 16;  // 1 … 10: half-precision scores compared by so many bits of mantissa
};

}  // namespace

static double area_of(const Corners& box, bool normalized) {
  const double more = normalized ? 0 : 1;
  return (std::abs(box[2] - box[0]) + more) * (std::abs(box[3] - box[1]) + more);
}

// Intersection over union with the plugins' "+1 pixel" rules (tensorrt.md §2.1, step 4).
static double plugin_iou(const Corners& a, const Corners& b, bool normalized, bool caffe) {
  std::array<double, 2> size;
  bool disjoint = false;
  for (std::size_t i = 0; i < 2; ++i) {
    const double low = std::max(std::min(a[i], a[i + 2]), std::min(b[i], b[i + 2]));
    const double high = std::min(std::max(a[i], a[i + 2]), std::max(b[i], b[i + 2]));
    disjoint = disjoint || low > high;
    size[i] = high - low;
  }
  if (disjoint) size = {0, 0};
  const double more = !normalized && caffe ? 1 : 0;
  const double w = size[0] + more, h = size[1] + more;
  if (!(w > 0) || !(h > 0)) return 0;
  const double both = w * h;
  return both / (area_of(a, normalized) + area_of(b, normalized) - both);
}

// The score by which entries are sorted: all of it, or the leading mantissa bits of score + 1.
static double sort_key(double score, const ClassNms& nms) {
  if (nms.score_bits < 1 || nms.score_bits > 10) return score;
  const Float16 shifted(std::min(score + 1, 2 - 1.0 / 1024));
  const unsigned mantissa = shifted.bits & 0x3FFU;
  return static_cast<double>(mantissa >> (10 - nms.score_bits));
}

static double emitted_score(double score, const ClassNms& nms) {
  if (nms.score_bits < 1 || nms.score_bits > 10) return score;
  const Float16 shifted(std::min(score + 1, 2 - 1.0 / 1024));
  return static_cast<double>(shifted) - 1;
}

static void sort_entries(std::vector<Entry>& entries, const ClassNms& nms) {
  std::stable_sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
    return sort_key(a.score, nms) > sort_key(b.score, nms);
  });
}

// The keep_top_k best entries of one image, in order; `box` gives the corners of entry `index`.
template <typename Score, typename BoxAt>
static std::vector<Entry> class_nms(const ClassNms& nms, Score score, BoxAt box) {
  std::vector<Entry> all;
  all.reserve(static_cast<std::size_t>(nms.classes * nms.top_k));
  std::vector<Entry> entries;
  for (std::int64_t c = 0; c < nms.classes; ++c) {
    entries.clear();
    for (std::int64_t k = 0; k < nms.boxes; ++k) {
      const double s = score(k, c);
      const bool candidate = c != nms.background && s > nms.score_threshold;
      entries.push_back(candidate ? Entry{s, c * nms.boxes + k} : Entry{});
    }
    sort_entries(entries, nms);
    entries.resize(static_cast<std::size_t>(nms.top_k));  // cut, or filled with empty entries
    for (std::size_t r = 0; r < entries.size(); ++r) {
      if (entries[r].index < 0) continue;
      const Corners kept = box(entries[r].index);
      for (std::size_t t = r + 1; t < entries.size(); ++t) {
        if (entries[t].index >= 0 && plugin_iou(kept, box(entries[t].index), nms.normalized,
                                                nms.caffe) > nms.iou_threshold) {
          entries[t] = {};
        }
      }
    }
    all.insert(all.end(), entries.begin(), entries.end());
  }
  sort_entries(all, nms);
  all.resize(static_cast<std::size_t>(nms.keep_top_k));
  return all;
}

// Reads the attributes that both plugins have; the thresholds' names differ.
static Result<ClassNms> class_nms_of(const Call& call, std::string_view score_name,
                                     std::string_view iou_name) {
  ClassNms nms;
  for (const auto& [name, field] :
       {std::pair<std::string_view, std::int64_t*>{"backgroundLabelId", &nms.background},
        {"numClasses", &nms.classes},
        {"topK", &nms.top_k},
        {"keepTopK", &nms.keep_top_k}}) {
    auto value = required_integer(call, name);
    if (!value) return value.error();
    *field = *value;
  }
  auto score = required_number(call, score_name);
  if (!score) return score.error();
  auto iou = required_number(call, iou_name);
  if (!iou) return iou.error();
  nms.score_threshold = *score;
  nms.iou_threshold = *iou;
  if (!call.attributes.has("isNormalized")) {
    return make_error("isNormalized is not given: TensorRT leaves it undefined, set it to 0 or 1");
  }
  auto normalized = flag(call, "isNormalized", 1);
  if (!normalized) return normalized.error();
  nms.normalized = *normalized;
  auto caffe = flag(call, "caffeSemantics", 1);
  if (!caffe) return caffe.error();
  nms.caffe = *caffe;
  if (nms.top_k < 1 || nms.top_k > 4096) {
    return make_error("topK is {}: TensorRT takes 1 to 4096", nms.top_k);
  }
  if (nms.keep_top_k < 1 || nms.keep_top_k > nms.top_k) {
    return make_error("keepTopK is {}, topK {}: TensorRT writes no output where keepTopK is larger",
                      nms.keep_top_k, nms.top_k);
  }
  if (nms.classes < 1 || nms.classes > 1 << 20) return make_error("numClasses is {}", nms.classes);
  return nms;
}

static Status check_scores(const ClassNms& nms, std::span<const double> scores) {
  if (nms.score_threshold < 0 &&
      std::any_of(scores.begin(), scores.end(), [](double s) { return s < 0; })) {
    return make_error(
        "the score threshold {} is negative and so are some scores: TensorRT mixes them with "
        "cleared entries",
        nms.score_threshold);
  }
  return Done{};
}

static Result<Outputs> batched_nms(const Call& call) {
  const Tensor& boxes = call.tensor(0);
  const Tensor& scores = call.tensor(1);
  auto nms = class_nms_of(call, "scoreThreshold", "iouThreshold");
  if (!nms) return nms.error();
  if (!call.attributes.has("shareLocation")) return make_error("shareLocation is required");
  auto shared = flag(call, "shareLocation", 1);
  if (!shared) return shared.error();
  auto clips = flag(call, "clipBoxes", 1);
  if (!clips) return clips.error();
  const std::int64_t classes = nms->classes;
  const std::int64_t per_box = *shared ? 1 : classes;
  if (boxes.rank() != 4 || boxes.dim(2) != per_box || boxes.dim(3) != 4 ||
      (scores.rank() != 3 && scores.rank() != 4) || scores.dim(0) != boxes.dim(0) ||
      scores.dim(1) != boxes.dim(1) || scores.dim(2) != classes ||
      (scores.rank() == 4 && scores.dim(3) != 1) || !is_float(boxes.dtype()) ||
      scores.dtype() != boxes.dtype()) {
    return make_error("boxes {}{} and scores {}{} do not fit [N,K,{},4] and [N,K,{}]",
                      name(boxes.dtype()), to_string(boxes.shape()), name(scores.dtype()),
                      to_string(scores.shape()), per_box, classes);
  }
  const std::int64_t images = boxes.dim(0), keep = nms->keep_top_k;
  nms->boxes = boxes.dim(1);
  if (boxes.dtype() == DType::F16) {
    nms->score_bits = static_cast<int>(call.attributes.integer("scoreBits", 16));
  }
  const std::vector<double> box = boxes.numbers(), score = scores.numbers();
  if (auto fine = check_scores(*nms, score); !fine) return fine.error();

  const bool dynamic = call.type == "BatchedNMSDynamic_TRT";
  Tensor counts = Tensor::zeros(DType::I32, dynamic ? Shape{images, 1} : Shape{images});
  std::vector<double> out_boxes, out_scores, out_classes;
  for (std::int64_t n = 0; n < images; ++n) {
    const auto corners = [&](std::int64_t index) {
      const std::int64_t c = index / nms->boxes, k = index % nms->boxes;
      const std::int64_t at = ((n * nms->boxes + k) * per_box + (*shared ? 0 : c)) * 4;
      Corners four;
      std::copy_n(box.begin() + at, 4, four.begin());
      return four;
    };
    const auto score_at = [&](std::int64_t k, std::int64_t c) {
      return score[static_cast<std::size_t>((n * nms->boxes + k) * classes + c)];
    };
    for (const Entry& entry : class_nms(*nms, score_at, corners)) {
      if (entry.index < 0) {
        out_classes.push_back(-1);
        out_scores.push_back(0);
        out_boxes.insert(out_boxes.end(), 4, 0.0);
        continue;
      }
      ++counts.mutable_data<std::int32_t>()[n];
      out_classes.push_back(static_cast<double>(entry.index / nms->boxes));
      out_scores.push_back(emitted_score(entry.score, *nms));
      for (double value : corners(entry.index)) {
        out_boxes.push_back(*clips ? std::clamp(value, 0.0, 1.0) : value);
      }
    }
  }
  Outputs out;
  out.push_back(std::move(counts));
  out.push_back(from_numbers(boxes.dtype(), {images, keep, 4}, out_boxes));
  out.push_back(from_numbers(boxes.dtype(), {images, keep}, out_scores));
  out.push_back(from_numbers(boxes.dtype(), {images, keep}, out_classes));
  return out;
}

// SSD's box coding (tensorrt.md §2.4): the corners of one decoded box.
static Result<Corners> decoded(std::int64_t code, const double* loc, const double* prior,
                               const double* variance, bool variance_in_target) {
  const std::array<double, 4> one_each = {1, 1, 1, 1};
  const double* v = variance_in_target ? one_each.data() : variance;
  const double w = prior[2] - prior[0], h = prior[3] - prior[1];
  const double cx = (prior[0] + prior[2]) / 2, cy = (prior[1] + prior[3]) / 2;
  const auto around = [](double x, double y, double width, double height) {
    return Corners{x - width / 2, y - height / 2, x + width / 2, y + height / 2};
  };
  switch (code) {
    case 0:  // CORNER
      return Corners{prior[0] + loc[0] * v[0], prior[1] + loc[1] * v[1], prior[2] + loc[2] * v[2],
                     prior[3] + loc[3] * v[3]};
    case 1:  // CENTER_SIZE
      return around(v[0] * loc[0] * w + cx, v[1] * loc[1] * h + cy, std::exp(v[2] * loc[2]) * w,
                    std::exp(v[3] * loc[3]) * h);
    case 2:  // CORNER_SIZE
      return Corners{prior[0] + loc[0] * v[0] * w, prior[1] + loc[1] * v[1] * h,
                     prior[2] + loc[2] * v[2] * w, prior[3] + loc[3] * v[3] * h};
    case 3:  // TF_CENTER: y, x, h, w; variances count even when they are in the target
      return around(variance[0] * loc[1] * w + cx, variance[1] * loc[0] * h + cy,
                    std::exp(variance[2] * loc[3]) * w, std::exp(variance[3] * loc[2]) * h);
    default:
      return make_error("codeType {} is not known", code);
  }
}

static Result<Outputs> ssd_nms(const Call& call) {
  auto nms = class_nms_of(call, "confidenceThreshold", "nmsThreshold");
  if (!nms) return nms.error();
  nms->caffe = true;
  Integers order = call.attributes.integers("inputOrder");
  if (order.empty()) order = {0, 2, 1};
  Integers sorted = order;
  std::sort(sorted.begin(), sorted.end());
  if (sorted != Integers{0, 1, 2}) return make_error("inputOrder is not a permutation of 0, 1, 2");
  const auto part = [&](std::size_t role) -> const Tensor& {
    return call.tensor(static_cast<std::size_t>(order[role]));
  };
  const Tensor& loc = part(0);
  const Tensor& conf = part(1);
  const Tensor& prior = part(2);
  auto shared = flag(call, "shareLocation", 1);
  if (!shared) return shared.error();
  auto in_target = flag(call, "varianceEncodedInTarget", 0);
  if (!in_target) return in_target.error();
  auto sigmoid = flag(call, "confSigmoid", 0);
  if (!sigmoid) return sigmoid.error();
  auto agnostic = flag(call, "isBatchAgnostic", 1);
  if (!agnostic) return agnostic.error();
  const std::int64_t code = call.attributes.integer("codeType", 3);
  const std::int64_t images = loc.rank() == 0 ? 0 : loc.dim(0);
  const std::int64_t per_box = *shared ? 1 : nms->classes;
  const std::int64_t sets = *agnostic ? 1 : images;
  nms->boxes = sets == 0 ? 0 : prior.size() / (8 * sets);
  if (images < 1 || !is_float(loc.dtype()) || conf.dtype() != loc.dtype() ||
      prior.size() != nms->boxes * 8 * sets || loc.size() != images * nms->boxes * per_box * 4 ||
      conf.size() != images * nms->boxes * nms->classes) {
    return make_error("locations {}, confidences {} and priors {} do not fit one another",
                      to_string(loc.shape()), to_string(conf.shape()), to_string(prior.shape()));
  }
  if (loc.dtype() == DType::F16) {
    nms->score_bits = static_cast<int>(call.attributes.integer("scoreBits", 16));
  }
  const std::vector<double> where = loc.numbers(), priors = prior.numbers();
  std::vector<double> score = conf.numbers();
  if (*sigmoid) {
    for (double& s : score)
      s = 1 / (1 + std::exp(-s));
  }
  if (auto fine = check_scores(*nms, score); !fine) return fine.error();
  std::vector<double> rows;
  Tensor counts = Tensor::zeros(DType::F32, {images, 1, 1, 1});
  for (std::int64_t n = 0; n < images; ++n) {
    const double* set = priors.data() + (*agnostic ? 0 : n) * nms->boxes * 8;
    std::vector<Corners> boxes;
    for (std::int64_t k = 0; k < nms->boxes; ++k) {
      for (std::int64_t q = 0; q < per_box; ++q) {
        auto box = decoded(code, where.data() + ((n * nms->boxes + k) * per_box + q) * 4,
                           set + k * 4, set + (nms->boxes + k) * 4, *in_target);
        if (!box) return box.error();
        boxes.push_back(*box);
      }
    }
    const auto corners = [&](std::int64_t index) {
      const std::int64_t c = index / nms->boxes, k = index % nms->boxes;
      return boxes[static_cast<std::size_t>(k * per_box + (*shared ? 0 : c))];
    };
    const auto score_at = [&](std::int64_t k, std::int64_t c) {
      return score[static_cast<std::size_t>((n * nms->boxes + k) * nms->classes + c)];
    };
    std::int32_t count = 0;
    for (const Entry& entry : class_nms(*nms, score_at, corners)) {
      rows.push_back(static_cast<double>(n));
      if (entry.index < 0) {
        rows.insert(rows.end(), {-1.0, 0.0, 0.0, 0.0, 0.0, 0.0});
        continue;
      }
      ++count;
      rows.push_back(static_cast<double>(entry.index / nms->boxes));
      rows.push_back(emitted_score(entry.score, *nms));
      for (double value : corners(entry.index))
        rows.push_back(std::clamp(value, 0.0, 1.0));
    }
    // TensorRT stores the integer's bits in a float tensor.
    counts.mutable_data<float>()[n] = std::bit_cast<float>(count);
  }
  Outputs out;
  out.push_back(from_numbers(loc.dtype(), {images, 1, nms->keep_top_k, 7}, rows));
  out.push_back(std::move(counts));
  return out;
}

std::span<const KernelEntry> plugin_nms_kernels() {
  static const KernelEntry entries[] = {
      {"", "BatchedNMSDynamic_TRT", batched_nms, 2},
      {"", "BatchedNMS_TRT", batched_nms, 2},
      {"", "EfficientNMS_ONNX_TRT", run_efficient_nms_onnx, 2},
      {"", "EfficientNMS_TRT", run_efficient_nms, 2},
      {"", "NMSDynamic_TRT", ssd_nms, 3},
      {"", "NMS_TRT", ssd_nms, 3},
  };
  return entries;
}

}  // namespace rulec::generic
