// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "runtime/tensor.h"

namespace rulec {

// Bulk conversion between a tensor's elements, of whatever type, and plain arrays of doubles or of
// 64-bit integers. Not Cast for whole tensors: that is `convert` in runtime/tensor.h.
//
//   std::vector<double> row(n);
//   load_numbers(x, first, row);            // any numeric type or bool
//   store_numbers(y, first, row);           // rounds once; truncates to integers, bool is != 0
//
// Integers out of range wrap. A number that an integer type cannot hold gives what x86's
// conversion gives (the least i32 or i64, then wrapped to narrower types), so that results do not
// depend on the compiler. u64 travels through the 64-bit integers bit for bit. Complex numbers
// show their real part; strings are not accepted.
void load_numbers(const Tensor& tensor, std::int64_t first, std::span<double> out);
void store_numbers(Tensor& tensor, std::int64_t first, std::span<const double> values,
                   bool saturate = true);
void load_integers(const Tensor& tensor, std::int64_t first, std::span<std::int64_t> out);
void store_integers(Tensor& tensor, std::int64_t first, std::span<const std::int64_t> values);

// What store_numbers writes for an i64.
std::int64_t truncate_to_integer(double value);

}  // namespace rulec
