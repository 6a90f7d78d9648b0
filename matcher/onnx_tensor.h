// SPDX-License-Identifier: Apache-2.0
#pragma once

// TensorProto and SparseTensorProto to Tensor and back. Data that lies in the file as it lies in
// memory stays where it is: `raw_data`, packed floats, and external files are borrowed.

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "matcher/wire.h"
#include "runtime/attribute.h"
#include "runtime/result.h"

namespace rulec {

// Where the bytes of decoded tensors live: in the message, which `owner` keeps, in files beside the
// model that hold its external data, each mapped once, or in blocks for small ones that lie in the
// message without alignment.
class TensorHome {
 public:
  explicit TensorHome(std::shared_ptr<const void> owner = nullptr,
                      std::filesystem::path folder = {})
      : owner_(std::move(owner)), folder_(std::move(folder)) {}

  struct Bytes {
    std::string_view bytes;
    std::shared_ptr<const void> owner;
    std::string path;
  };
  const std::shared_ptr<const void>& owner() const { return owner_; }
  // `length` bytes at `offset` of the file at `location`, which is relative to the folder, stays
  // in it and passes through no link.
  Result<Bytes> find(std::string_view location, std::uint64_t offset, std::uint64_t length);
  // A copy, 64-byte aligned; many small ones share one block.
  Tensor copy(DType dtype, Shape shape, std::string_view bytes);

 private:
  std::shared_ptr<const void> owner_;
  std::filesystem::path folder_;
  std::map<std::string, Bytes, std::less<>> open_;
  std::shared_ptr<std::byte> block_;
  std::size_t block_left_ = 0;  // bytes free at its end
};

struct DecodedTensor {
  std::string_view name;
  Tensor tensor;
  // Encoding `tensor` under `name` gives an equal message; else the original bytes say more.
  bool plain = true;
  std::string external;  // path of the file the data is in; empty: the message itself
};

Result<DecodedTensor> decode_tensor(std::string_view bytes, TensorHome& home);
struct DecodedSparse {
  std::string_view name;  // of its values
  SparseTensor tensor;
};
Result<DecodedSparse> decode_sparse(std::string_view bytes, TensorHome& home);

// The tensor's data as it stands in a file; empty for strings.
inline std::string_view file_bytes(const Tensor& tensor) {
  const auto bytes = tensor.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Large data is referred to, not copied: the tensor outlives the writer.
wire::Writer encode_tensor(std::string_view name, const Tensor& tensor);
// Name, type and dims, without any data.
wire::Writer encode_tensor_header(std::string_view name, const Tensor& tensor);
// With its data at `offset` of the file `location`.
wire::Writer encode_external(std::string_view name, const Tensor& tensor, std::string_view location,
                             std::size_t offset);
wire::Writer encode_sparse(std::string_view name, const SparseTensor& tensor);

}  // namespace rulec
