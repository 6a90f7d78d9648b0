// SPDX-License-Identifier: Apache-2.0
// What the fast kernels share and what chooses among their instruction sets.
#include <cstdlib>
#include <memory>

#include "runtime/check.h"
#include "runtime/kernels.h"
#include "runtime/shape.h"

namespace rulec {

namespace kernels::portable {
KernelTable table();
}
#if defined(__x86_64__)
namespace kernels::avx2 {
KernelTable table();
}
namespace kernels::avx512 {
KernelTable table();
}
namespace kernels::avx512vnni {
void quantized_conv(const KernelCall& call);
void quantized_depthwise(const KernelCall& call);
void quantized_winograd(const KernelCall& call);
}  // namespace kernels::avx512vnni

static KernelTable avx512_table() {
  KernelTable t = kernels::avx512::table();
  if (has_vnni()) {
    t.run[static_cast<std::size_t>(Opcode::QuantizedConv)] = kernels::avx512vnni::quantized_conv;
    t.run[static_cast<std::size_t>(Opcode::QuantizedDepthwise)] =
        kernels::avx512vnni::quantized_depthwise;
    t.run[static_cast<std::size_t>(Opcode::QuantizedWinograd)] =
        kernels::avx512vnni::quantized_winograd;
  }
  return t;
}
#endif

// Each table is made by code of its own instruction set: only the chosen one is asked.
const KernelTable& kernels_for(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::Avx512) {
    static const KernelTable avx512 = avx512_table();
    return avx512;
  }
  if (isa == Isa::Avx2) {
    static const KernelTable avx2 = kernels::avx2::table();
    return avx2;
  }
#endif
  (void)isa;
  static const KernelTable portable = kernels::portable::table();
  return portable;
}

std::string_view name(Opcode opcode) {
  static constexpr std::string_view names[] = {
#define RULEC_OPCODE(name, parameters) #name,
#include "runtime/opcodes.def"
  };
  const auto index = static_cast<std::size_t>(opcode);
  return index < opcode_count ? names[index] : "?";
}

BlockedExtent blocked_extent(const std::int64_t* dims, std::uint32_t halo) {
  BlockedExtent e{};
  e.n = dims[0];
  e.c = dims[1];
  e.h = dims[2];
  e.w = dims[3];
  e.blocks = (e.c + 15) / 16;
  e.row = (e.w + 2 * std::int64_t{halo}) * 16;
  e.plane = e.row * (e.h + 2 * std::int64_t{halo});
  e.image = e.plane * e.blocks;
  e.origin = std::int64_t{halo} * e.row + std::int64_t{halo} * 16;
  return e;
}

std::uint64_t blocked_bytes(const std::int64_t* dims, std::uint32_t halo) {
  const std::int64_t sizes[] = {dims[0], (dims[1] + 15) / 16, dims[2] + 2 * std::int64_t{halo},
                                dims[3] + 2 * std::int64_t{halo}, 64};
  const auto count = checked_element_count(sizes);
  return count ? static_cast<std::uint64_t>(*count) : UINT64_MAX;
}

namespace {
struct Scratch {
  std::byte* data = nullptr;
  std::size_t size = 0;
  ~Scratch() { std::free(data); }
};
}  // namespace

static std::byte* grown(Scratch& scratch, std::size_t bytes) {
  if (scratch.size < bytes) {
    std::free(scratch.data);
    scratch.size = (bytes + 4095) / 4096 * 4096 + 4096;
    scratch.data = static_cast<std::byte*>(std::aligned_alloc(4096, scratch.size));
    RULEC_CHECK(scratch.data != nullptr);
  }
  return scratch.data;
}

std::byte* thread_scratch(std::size_t bytes) {
  thread_local Scratch scratch;
  return grown(scratch, bytes);
}

std::byte* shared_scratch(std::size_t bytes) {
  thread_local Scratch scratch;
  return grown(scratch, bytes);
}

}  // namespace rulec
