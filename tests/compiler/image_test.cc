// SPDX-License-Identifier: Apache-2.0
#include "compiler/image.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>
#include <jpeglib.h>

#include "matcher/file.h"

namespace rulec {
namespace {

Image gradient(int height, int width) {
  Image image{.height = height, .width = width, .rgb = {}};
  image.rgb.resize(static_cast<std::size_t>(3 * height * width));
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      image.pixel(y, x)[0] = static_cast<std::uint8_t>(255 * y / height);
      image.pixel(y, x)[1] = static_cast<std::uint8_t>(255 * x / width);
      image.pixel(y, x)[2] = 128;
    }
  return image;
}

std::filesystem::path temporary(const std::string& name) {
  return std::filesystem::path(testing::TempDir()) / ("rulec_image_test_" + name);
}

std::string jpeg_of(const Image& image) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &buffer, &size);
  jpeg.image_width = static_cast<JDIMENSION>(image.width);
  jpeg.image_height = static_cast<JDIMENSION>(image.height);
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 95, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    auto* row = const_cast<JSAMPROW>(image.pixel(static_cast<int>(jpeg.next_scanline), 0));
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  std::string out(reinterpret_cast<const char*>(buffer), size);
  jpeg_destroy_compress(&jpeg);
  std::free(buffer);
  return out;
}

Type type_of(DType dtype, std::vector<Dim> dims) {
  return {.kind = Type::Kind::Tensor, .dtype = dtype, .dims = std::move(dims)};
}

TEST(Image, PngComesBack) {
  const Image image = gradient(13, 29);
  const auto path = temporary("a.png");
  ASSERT_TRUE(write_png(path, image));
  const auto back = read_image(path);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->height, 13);
  EXPECT_EQ(back->width, 29);
  EXPECT_EQ(back->rgb, image.rgb);
  std::filesystem::remove(path);
}

TEST(Image, JpegIsRead) {
  const Image image = gradient(32, 48);
  const auto path = temporary("a.jpg");
  const std::string bytes = jpeg_of(image);
  ASSERT_TRUE(write_file(path, bytes));
  const auto back = read_image(path);
  ASSERT_TRUE(back) << back.error().message;
  ASSERT_EQ(back->rgb.size(), image.rgb.size());
  double worst = 0;
  for (std::size_t i = 0; i < image.rgb.size(); ++i)
    worst = std::max(worst, std::abs(double{1} * image.rgb[i] - back->rgb[i]));
  EXPECT_LT(worst, 24);
  // A JPEG that ends early is refused, not half read.
  ASSERT_TRUE(write_file(path, std::string_view(bytes).substr(0, bytes.size() / 2)));
  EXPECT_FALSE(read_image(path));
  std::filesystem::remove(path);
}

TEST(Image, OtherFilesAreRefused) {
  const auto path = temporary("b.png");
  for (const std::string_view bytes :
       {std::string_view(""), std::string_view("GIF89a"), std::string_view("\x89PNG\r\n\x1a\n"),
        std::string_view("\xff\xd8\xff\xe0")}) {
    ASSERT_TRUE(write_file(path, bytes));
    const auto image = read_image(path);
    ASSERT_FALSE(image);
    EXPECT_NE(image.error().message.find("rulec_image_test_b.png"), std::string::npos);
  }
  std::filesystem::remove(path);
  EXPECT_FALSE(read_image(path));
}

TEST(Image, ResizingKeepsFlatColoursAndMeans) {
  Image flat{.height = 7, .width = 5, .rgb = std::vector<std::uint8_t>(105, 77)};
  for (const auto& [height, width] : {std::pair{3, 2}, {14, 10}, {1, 1}, {7, 9}}) {
    const Image out = resized(flat, height, width);
    EXPECT_EQ(out.rgb, std::vector<std::uint8_t>(static_cast<std::size_t>(3 * height * width), 77));
  }
  // Shrinking by two looks at all pixels, not at one of four.
  Image checks{.height = 8, .width = 8, .rgb = std::vector<std::uint8_t>(192, 0)};
  for (int y = 0; y < 8; ++y)
    for (int x = 0; x < 8; ++x)
      for (int c = 0; c < 3; ++c)
        checks.pixel(y, x)[c] = (x + y) % 2 == 0 ? 200 : 0;
  for (const std::uint8_t value : resized(checks, 4, 4).rgb)
    EXPECT_NEAR(value, 100, 15);
}

TEST(Image, LayoutsAreToldApart) {
  const auto nhwc = image_layout(type_of(DType::U8, {{1}, {}, {}, {3}}));
  ASSERT_TRUE(nhwc) << nhwc.error().message;
  EXPECT_FALSE(nhwc->channels_first);
  EXPECT_EQ(nhwc->height, -1);
  const auto nchw = image_layout(type_of(DType::F32, {{-1, "N"}, {3}, {224}, {192}}));
  ASSERT_TRUE(nchw) << nchw.error().message;
  EXPECT_TRUE(nchw->channels_first);
  EXPECT_EQ(nchw->height, 224);
  EXPECT_EQ(nchw->width, 192);
  const auto gray = image_layout(type_of(DType::F32, {{1}, {1}, {28}, {28}}));
  ASSERT_TRUE(gray) << gray.error().message;
  EXPECT_TRUE(gray->channels_first);
  EXPECT_EQ(gray->channels, 1);
  const auto bare = image_layout(type_of(DType::U8, {{32}, {32}, {3}}));
  ASSERT_TRUE(bare) << bare.error().message;
  EXPECT_FALSE(bare->has_batch);
  EXPECT_FALSE(image_layout(type_of(DType::F32, {{1}, {10}})));
  EXPECT_FALSE(image_layout(type_of(DType::F32, {{1}, {16}, {32}, {32}})));
  EXPECT_FALSE(image_layout(type_of(DType::I8, {{1}, {3}, {32}, {32}})));
  EXPECT_FALSE(image_layout({}));
}

TEST(Image, FitsTheInput) {
  const Image image = gradient(4, 6);
  std::vector<std::string> notes;
  const auto nchw = fit_image(image, type_of(DType::F32, {{-1}, {3}, {4}, {6}}), notes);
  ASSERT_TRUE(nchw) << nchw.error().message;
  EXPECT_EQ(nchw->shape(), (Shape{1, 3, 4, 6}));
  for (int c = 0; c < 3; ++c)
    EXPECT_EQ(nchw->number(24 * c + 2 * 6 + 5), image.pixel(2, 5)[c]);
  EXPECT_EQ(notes.size(), 1U);  // 0 to 255

  notes.clear();
  const auto nhwc = fit_image(image, type_of(DType::U8, {{2}, {8}, {8}, {3}}), notes);
  ASSERT_TRUE(nhwc) << nhwc.error().message;
  EXPECT_EQ(nhwc->shape(), (Shape{2, 8, 8, 3}));
  ASSERT_EQ(notes.size(), 2U);
  EXPECT_NE(notes[0].find("from 6x4 to 8x8"), std::string::npos);
  EXPECT_EQ(nhwc->number(5), nhwc->number(192 + 5));  // both places of the batch

  notes.clear();
  const auto gray = fit_image(image, type_of(DType::F32, {{1}, {1}, {4}, {6}}), notes);
  ASSERT_TRUE(gray) << gray.error().message;
  EXPECT_EQ(gray->size(), 24);
}

}  // namespace
}  // namespace rulec
