// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <tuple>

#include "runtime/generic/compose.h"
#include "runtime/generic/families.h"

namespace rulec::generic {

using Family = std::span<const KernelEntry> (*)();

// One line for each family, so that additions merge.
// clang-format off
static constexpr Family families[] = {
    unary_kernels,
    binary_kernels,
    logic_kernels,
    cast_kernels,
    activation_kernels,
    softmax_kernels,
    reduction_kernels,
    matmul_kernels,
    einsum_kernels,
    convolution_kernels,
    deformation_kernels,
    pooling_kernels,
    normalization_kernels,
    recurrent_kernels,
    attention_kernels,
    quantization_kernels,
    movement_kernels,
    indexing_kernels,
    selection_kernels,
    shape_kernels,
    resize_kernels,
    sampling_kernels,
    control_kernels,
    sequence_kernels,
    ml_kernels,
    detection_kernels,
    plugin_nms_kernels,
    plugin_kernels,
    text_kernels,
    signal_kernels,
    fused_kernels,
    quantized_kernels,
    misc_kernels,
    contrib_kernels,
};
// clang-format on

static auto key_of(const KernelEntry& entry) {
  return std::tie(entry.domain, entry.type);
}

static const std::vector<KernelEntry>& sorted_kernels() {
  static const std::vector<KernelEntry> all = [] {
    std::vector<KernelEntry> joined;
    for (const Family family : families) {
      const auto entries = family();
      joined.insert(joined.end(), entries.begin(), entries.end());
    }
    std::sort(joined.begin(), joined.end(),
              [](const KernelEntry& a, const KernelEntry& b) { return key_of(a) < key_of(b); });
    const auto twin = std::adjacent_find(
        joined.begin(), joined.end(),
        [](const KernelEntry& a, const KernelEntry& b) { return key_of(a) == key_of(b); });
    RULEC_CHECK(twin == joined.end());
    return joined;
  }();
  return all;
}

const KernelEntry* find_kernel(std::string_view domain, std::string_view type) {
  if (domain == "ai.onnx") domain = "";  // the standard's own domain has two spellings
  const auto& all = sorted_kernels();
  const auto key = std::tie(domain, type);
  const auto found =
      std::lower_bound(all.begin(), all.end(), key,
                       [](const KernelEntry& entry, const auto& k) { return key_of(entry) < k; });
  return found != all.end() && key_of(*found) == key ? &*found : nullptr;
}

static std::string operator_name(const Call& call) {
  return call.domain.empty() ? std::string(call.type)
                             : fmt::format("{}.{}", call.domain, call.type);
}

static Status check_operands(const Call& call, const KernelEntry& entry) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(entry.required); ++i) {
    if (!call.has(i)) return make_error("operand {} is required but absent", i);
  }
  if (entry.any_kind) return Done{};
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    if (call.has(i) && !call.inputs[i]->is_tensor()) {
      return make_error("operand {} is a sequence, optional or map, but must be a tensor", i);
    }
  }
  return Done{};
}

Result<Outputs> run(const Call& call) {
  const KernelEntry* entry = find_kernel(call.domain, call.type);
  if (!entry) return make_error("{}: no kernel for this operator", operator_name(call));
  const Status operands = check_operands(call, *entry);
  if (!operands) return make_error("{}: {}", operator_name(call), operands.error().message);
  Result<Outputs> outputs = entry->kernel(call);
  if (!outputs) return make_error("{}: {}", operator_name(call), outputs.error().message);
  return outputs;
}

std::vector<KernelEntry> all_kernels() {
  return sorted_kernels();
}

}  // namespace rulec::generic
