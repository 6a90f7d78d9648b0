// SPDX-License-Identifier: Apache-2.0
// Reading and writing of picture files, by libpng and libjpeg.
#include <csetjmp>
#include <cstdio>

#include <jpeglib.h>
#include <png.h>

#include "compiler/image.h"
#include "matcher/file.h"

namespace rulec {

// A file of a few bytes may claim any size; beyond this one it is no picture for a model.
static constexpr std::uint64_t max_pixels = std::uint64_t{1} << 28;

static Status check_size(std::uint64_t height, std::uint64_t width) {
  if (height == 0 || width == 0 || height > max_pixels / width)
    return make_error("its size, {} by {} pixels, is out of bounds", width, height);
  return Done{};
}

static Result<Image> decode_png(std::string_view bytes) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()) == 0)
    return make_error("{}", png.message);
  if (const Status status = check_size(png.height, png.width); !status) {
    png_image_free(&png);
    return status.error();
  }
  png.format = PNG_FORMAT_RGB;
  Image image{
      .height = static_cast<int>(png.height), .width = static_cast<int>(png.width), .rgb = {}};
  image.rgb.resize(PNG_IMAGE_SIZE(png));
  const png_color black{0, 0, 0};
  if (png_image_finish_read(&png, &black, image.rgb.data(), 0, nullptr) == 0)
    return make_error("{}", png.message);
  return image;
}

namespace {

struct JpegErrors {
  jpeg_error_mgr base;  // first: libjpeg knows this part only
  std::jmp_buf back;
  char text[JMSG_LENGTH_MAX];
};

}  // namespace

[[noreturn]] static void leave_jpeg(j_common_ptr info) {
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  errors->base.format_message(info, errors->text);
  std::longjmp(errors->back, 1);
}

// libjpeg leaves by longjmp: nothing with a destructor may be made between setjmp and the end of
// this function. A warning (data that ends early, say) counts as an error: half a picture would
// give a wrong result in silence.
static bool read_jpeg(jpeg_decompress_struct& jpeg, JpegErrors& errors, std::string_view bytes,
                      Image& image) {
  if (setjmp(errors.back) != 0) return false;
  jpeg_create_decompress(&jpeg);
  jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&jpeg, TRUE);
  if (!check_size(jpeg.image_height, jpeg.image_width)) {
    std::snprintf(errors.text, sizeof errors.text, "its size, %u by %u pixels, is out of bounds",
                  jpeg.image_width, jpeg.image_height);
    return false;
  }
  jpeg.out_color_space = JCS_RGB;
  jpeg_start_decompress(&jpeg);
  image.height = static_cast<int>(jpeg.output_height);
  image.width = static_cast<int>(jpeg.output_width);
  image.rgb.resize(std::size_t{3} * jpeg.output_height * jpeg.output_width);
  while (jpeg.output_scanline < jpeg.output_height) {
    JSAMPROW row = image.pixel(static_cast<int>(jpeg.output_scanline), 0);
    jpeg_read_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_decompress(&jpeg);
  if (errors.base.num_warnings == 0) return true;
  errors.base.format_message(reinterpret_cast<j_common_ptr>(&jpeg), errors.text);
  return false;
}

static void note_jpeg_warning(j_common_ptr info, int level) {
  if (level < 0) ++info->err->num_warnings;
}

static Result<Image> decode_jpeg(std::string_view bytes) {
  jpeg_decompress_struct jpeg{};
  JpegErrors errors{};
  jpeg.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = leave_jpeg;
  errors.base.emit_message = note_jpeg_warning;
  Image image;
  const bool read = read_jpeg(jpeg, errors, bytes, image);
  jpeg_destroy_decompress(&jpeg);
  if (!read) return make_error("{}", errors.text);
  return image;
}

Result<Image> read_image(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  if (!file) return file.error();
  const std::string_view bytes = (*file)->bytes();
  const bool png = bytes.starts_with("\x89PNG\r\n\x1a\n");
  if (!png && !bytes.starts_with("\xff\xd8\xff"))
    return make_error("cannot read `{}`: it is neither a PNG nor a JPEG picture", path.string());
  auto image = png ? decode_png(bytes) : decode_jpeg(bytes);
  if (!image) return make_error("cannot read `{}`: {}", path.string(), image.error().message);
  return image;
}

Status write_png(const std::filesystem::path& path, const Image& image) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.format = PNG_FORMAT_RGB;
  png.height = static_cast<png_uint_32>(image.height);
  png.width = static_cast<png_uint_32>(image.width);
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::string bytes(size, '\0');
  if (png_image_write_to_memory(&png, bytes.data(), &size, 0, image.rgb.data(), 0, nullptr) == 0)
    return make_error("cannot write `{}`: {}", path.string(), png.message);
  bytes.resize(size);
  return write_file(path, bytes);
}

}  // namespace rulec
