// SPDX-License-Identifier: Apache-2.0
#pragma once

// Arrays in numpy's files: .npy holds one, .npz (a zip archive) holds named ones. Not a way to
// store what numpy has no type for (bfloat16, 8- and 4-bit floats, strings): see npy_holds.
//
//   auto x = read_npy("x.npy");
//   auto status = write_npy("y.npy", *x);

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/result.h"
#include "runtime/tensor.h"

namespace rulec {

// Both byte orders, both memory orders; fixed-width text (`U`, `S`) becomes strings.
Result<Tensor> read_npy(const std::filesystem::path& path);
Result<Tensor> decode_npy(std::string_view bytes);

// The arrays of an archive in its order, stored or deflated, without the `.npy` of their names.
Result<std::vector<std::pair<std::string, Tensor>>> read_npz(const std::filesystem::path& path);
Result<std::vector<std::pair<std::string, Tensor>>> decode_npz(std::string_view bytes);

// Whether numpy has the element type.
bool npy_holds(DType dtype);

// "<f4", "|b1", …: numpy's spelling; empty where it has none.
std::string_view npy_type(DType dtype);

// The tensor's element type must be one that npy_holds.
std::string encode_npy_header(const Tensor& tensor);
Status write_npy(const std::filesystem::path& path, const Tensor& tensor);

}  // namespace rulec
