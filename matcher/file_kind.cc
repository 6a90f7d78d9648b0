// SPDX-License-Identifier: Apache-2.0
#include "matcher/file_kind.h"

#include <algorithm>
#include <utility>

#include "runtime/format.h"

namespace rulec {

static constexpr std::pair<std::string_view, std::string_view> beginnings[] = {
    {"\x89PNG", "a PNG picture"},
    {"\xff\xd8\xff", "a JPEG picture"},
    {"PK\x03\x04",
     "a zip archive; export a PyTorch or Keras model to ONNX first, unpack an archived one"},
    {"\x1f\x8b", "compressed with gzip; unpack it first"},
    {"\x89HDF", "an HDF5 file; export a Keras model with tf2onnx first"},
    {"\x93NUMPY", "a NumPy array"},
    {"\x80\x02", "a Python pickle; export the model to ONNX first"},
    {"\x7f"
     "ELF",
     "a program"},
    {"version https://git-lfs", "a Git LFS pointer; `git lfs pull` fetches the model"},
    {"<!", "a web page; the download was refused, it seems"},
    {"<html", "a web page; the download was refused, it seems"},
};

std::string_view file_kind(std::string_view bytes) {
  const auto& magic = format::magic;
  if (bytes.size() >= magic.size() &&
      std::equal(magic.begin(), magic.end(), bytes.begin(),
                 [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); })) {
    return "an engine; `rulec run`, `bench` and `inspect` take it, rewriting needs its model";
  }
  if (bytes.size() >= 8 && bytes.substr(4, 4) == "TFL3") {
    return "a TensorFlow Lite model; convert it with tf2onnx first";
  }
  for (const auto& [beginning, kind] : beginnings) {
    if (bytes.starts_with(beginning)) return kind;
  }
  const std::string_view head = bytes.substr(0, 256);
  const bool text = std::all_of(head.begin(), head.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);  // of UTF-8, from 0x80 on
    return (byte >= ' ' && byte != 0x7f) || c == '\n' || c == '\t' || c == '\r';
  });
  if (text && !head.empty())
    return "text (rules are given with `-r`; a model in ONNX's text form is named .onnxtxt)";
  return {};
}

}  // namespace rulec
