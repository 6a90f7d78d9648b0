// SPDX-License-Identifier: Apache-2.0
#include "compiler/npy.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <gtest/gtest.h>
#include <zlib.h>

#include "matcher/file.h"

namespace rulec {
namespace {

std::string npy(std::string_view descr, bool fortran, std::string_view shape,
                std::string_view data) {
  const std::string header = fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}\n",
                                         descr, fortran ? "True" : "False", shape);
  std::string out("\x93NUMPY\x01\x00", 8);
  out += static_cast<char>(header.size() & 0xff);
  out += static_cast<char>(header.size() >> 8);
  return out + header + std::string(data);
}

template <typename T>
std::string bytes_of(std::initializer_list<T> values) {
  std::string out;
  for (const T& value : values)
    out.append(reinterpret_cast<const char*>(&value), sizeof(T));
  return out;
}

std::string encoded(const Tensor& tensor) {
  return encode_npy_header(tensor) +
         std::string(reinterpret_cast<const char*>(tensor.bytes().data()), tensor.bytes().size());
}

void put(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i)
    out += static_cast<char>(value >> (8 * i) & 0xff);
}

std::string deflated(const std::string& bytes) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// An archive as numpy writes it: sizes in zip64 fields of the directory when `zip64`.
std::string archive(const std::vector<std::pair<std::string, std::string>>& files, bool packed,
                    bool zip64 = false) {
  std::string out, directory;
  for (const auto& [name, content] : files) {
    const std::string data = packed ? deflated(content) : content;
    const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size());
    const std::size_t offset = out.size();
    put(out, 0x04034b50, 4);
    put(out, 20, 2);
    put(out, 0, 2);
    put(out, packed ? 8 : 0, 2);
    put(out, 0, 4);
    put(out, crc, 4);
    put(out, data.size(), 4);
    put(out, content.size(), 4);
    put(out, name.size(), 2);
    put(out, 0, 2);
    out += name + data;
    put(directory, 0x02014b50, 4);
    put(directory, 45, 2);
    put(directory, 45, 2);
    put(directory, 0, 2);
    put(directory, packed ? 8 : 0, 2);
    put(directory, 0, 4);
    put(directory, crc, 4);
    put(directory, zip64 ? 0xffffffff : data.size(), 4);
    put(directory, zip64 ? 0xffffffff : content.size(), 4);
    put(directory, name.size(), 2);
    put(directory, zip64 ? 20 : 0, 2);
    put(directory, 0, 2 + 2 + 2 + 4);
    put(directory, offset, 4);
    directory += name;
    if (zip64) {
      put(directory, 1, 2);
      put(directory, 16, 2);
      put(directory, content.size(), 8);
      put(directory, data.size(), 8);
    }
  }
  const std::size_t start = out.size();
  out += directory;
  put(out, 0x06054b50, 4);
  put(out, 0, 4);
  put(out, files.size(), 2);
  put(out, files.size(), 2);
  put(out, directory.size(), 4);
  put(out, start, 4);
  put(out, 0, 2);
  return out;
}

TEST(Npy, EveryTypeComesBack) {
  int types = 0;
  for (int number = 1; number <= 26; ++number) {
    const auto dtype = static_cast<DType>(number);
    if (!npy_holds(dtype)) continue;
    ++types;
    Tensor tensor = Tensor::zeros(dtype, {2, 3});
    auto* bytes = tensor.mutable_data<std::uint8_t>();
    for (std::size_t i = 0; i < tensor.byte_size(); ++i)
      bytes[i] = static_cast<std::uint8_t>(dtype == DType::Bool ? i % 2 : 7 * i);
    const auto back = decode_npy(encoded(tensor));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_TRUE(same_bits(tensor, *back)) << name(dtype);
  }
  EXPECT_EQ(types, 14);
  EXPECT_FALSE(npy_holds(DType::BF16));
  EXPECT_FALSE(npy_holds(DType::String));
}

TEST(Npy, ShapesComeBack) {
  for (const Shape& shape : {Shape{}, Shape{4}, Shape{0}, Shape{2, 0, 3}, Shape{1, 2, 3, 4}}) {
    const auto back = decode_npy(encoded(Tensor::zeros(DType::F32, shape)));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(back->shape(), shape);
  }
}

TEST(Npy, HeadersAreAlignedTo64) {
  for (std::int64_t size = 1; size < 1'000'000'000; size *= 10)
    EXPECT_EQ(encode_npy_header(Tensor::borrow(DType::U8, {0, size}, {}, nullptr)).size() % 64, 0U);
}

TEST(Npy, FortranOrderIsTransposed) {
  const auto tensor =
      decode_npy(npy("<i4", true, "(2, 3)", bytes_of<std::int32_t>({1, 4, 2, 5, 3, 6})));
  ASSERT_TRUE(tensor) << tensor.error().message;
  EXPECT_EQ(tensor->integers(), (std::vector<std::int64_t>{1, 2, 3, 4, 5, 6}));
}

TEST(Npy, BigEndianIsSwapped) {
  const auto tensor = decode_npy(npy(">i2", false, "(2,)", std::string("\x01\x02\xff\xfe", 4)));
  ASSERT_TRUE(tensor) << tensor.error().message;
  EXPECT_EQ(tensor->integers(), (std::vector<std::int64_t>{0x0102, -2}));
}

TEST(Npy, TextBecomesStrings) {
  const auto wide =
      decode_npy(npy("<U2", false, "(2,)", bytes_of<std::uint32_t>({'a', 0x00e9, 0x1f600, 0})));
  ASSERT_TRUE(wide) << wide.error().message;
  EXPECT_EQ(wide->strings(), (std::vector<std::string>{"a\xc3\xa9", "\xf0\x9f\x98\x80"}));
  const auto narrow = decode_npy(npy("|S3", false, "(2,)", std::string("abcd\0\0", 6)));
  ASSERT_TRUE(narrow) << narrow.error().message;
  EXPECT_EQ(narrow->strings(), (std::vector<std::string>{"abc", "d"}));
}

TEST(Npy, BadFilesAreRefusedWithAReason) {
  const auto why = [](const std::string& bytes) {
    const auto result = decode_npy(bytes);
    return result ? std::string("accepted") : result.error().message;
  };
  EXPECT_NE(why("").find("no .npy file"), std::string::npos);
  EXPECT_NE(why("PK\x03\x04").find("no .npy file"), std::string::npos);
  EXPECT_NE(why(npy("<f4", false, "(2,)", "1234")).find("4 bytes of data"), std::string::npos);
  EXPECT_NE(why(npy("|O", false, "(1,)", "12345678")).find("Python objects"), std::string::npos);
  EXPECT_NE(why(npy("<V8", false, "(1,)", "12345678")).find("element type"), std::string::npos);
  EXPECT_NE(why(npy("<f4", false, "(-1,)", "")).find("shape"), std::string::npos);
  EXPECT_NE(why(npy("<f4", false, "(4611686018427387904, 4)", "")).find("too large"),
            std::string::npos);
  EXPECT_NE(why(npy("<U0", false, "(4611686018427387904,)", "")).find("too large"),
            std::string::npos);
  const std::string good = npy("<f4", false, "(1,)", "1234");
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_NE(why(good.substr(0, size)), "accepted") << size;
}

TEST(Npz, StoredAndDeflated) {
  const std::string x = encoded(Tensor::of<float>({3}, std::array{1.0F, 2.0F, 3.0F}));
  const std::string y = encoded(Tensor::scalar<std::int64_t>(7));
  for (const bool packed : {false, true})
    for (const bool zip64 : {false, true}) {
      const auto arrays =
          decode_npz(archive({{"x.npy", x}, {"note.txt", "?"}, {"a/y.npy", y}}, packed, zip64));
      ASSERT_TRUE(arrays) << arrays.error().message;
      ASSERT_EQ(arrays->size(), 2U);
      EXPECT_EQ((*arrays)[0].first, "x");
      EXPECT_EQ((*arrays)[0].second.numbers(), (std::vector<double>{1, 2, 3}));
      EXPECT_EQ((*arrays)[1].first, "a/y");
      EXPECT_EQ((*arrays)[1].second.integer(0), 7);
    }
}

TEST(Npz, DamageIsFound) {
  const std::string good =
      archive({{"x.npy", encoded(Tensor::of<float>({2}, std::array{1.0F, 2.0F}))}}, true);
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(decode_npz(good.substr(0, size))) << size;
  // No damage may crash; in the packed bytes none may pass.
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x55);
    const auto arrays = decode_npz(bad);
    if (arrays && arrays->size() == 1) {
      EXPECT_EQ((*arrays)[0].second.numbers(), (std::vector<double>{1, 2})) << at;
    }
  }
}

TEST(Npz, NumpysOwnFiles) {
  const std::filesystem::path path =
      std::filesystem::path(RULEC_SHARED_DIR) / "models/tfod/ssd_mbv2_c90_op11.npz";
  if (!std::filesystem::exists(path)) {
    ASSERT_EQ(std::getenv("CI"), nullptr) << path << " is absent";
    GTEST_SKIP() << path << " is absent";
  }
  const auto arrays = read_npz(path);
  ASSERT_TRUE(arrays) << arrays.error().message;
  EXPECT_FALSE(arrays->empty());
}

TEST(Npy, WritesWhatItReads) {
  const auto path = std::filesystem::path(testing::TempDir()) / "rulec_npy_test.npy";
  const Tensor tensor = Tensor::of<double>({2, 2}, std::array{1.0, -2.0, 0.5, 1e300});
  ASSERT_TRUE(write_npy(path, tensor));
  const auto back = read_npy(path);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_TRUE(same_bits(tensor, *back));
  std::filesystem::remove(path);
  const auto missing = read_npy(path);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("rulec_npy_test.npy"), std::string::npos);
}

}  // namespace
}  // namespace rulec
