// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over the files of a folder, and over mutations of each: GCC has no fuzzer of
// its own. `replay FOLDER [MUTATIONS [SEED [SECONDS [KEPT]]]]`: with seconds, mutations go on until
// they are over; KEPT is a file that holds each input while it runs, so that a crash leaves it
// behind.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/damage.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size);

static void run(const std::string& text) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const unsigned char*>(text.data()), text.size());
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1]))
    paths.push_back(entry);
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> texts;
  for (const auto& path : paths) {
    std::ifstream in(path, std::ios::binary);
    texts.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    run(texts.back());
  }
  if (texts.empty()) return 1;
  const auto number = [&](int at, unsigned long otherwise) {
    return argc > at ? std::strtoul(argv[at], nullptr, 10) : otherwise;
  };
  const unsigned long mutations = number(2, 0), seconds = number(4, 0);
  std::mt19937 random(static_cast<std::uint32_t>(number(3, 20261121)));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  unsigned long done = 0;
  while (seconds > 0 ? std::chrono::steady_clock::now() < end : done < mutations) {
    const std::string& text = texts[random() % texts.size()];
    const std::string input = rulec::test::damaged(text, texts[random() % texts.size()], random);
    if (argc > 5) std::ofstream(argv[5], std::ios::binary) << input;
    run(input);
    ++done;
  }
  std::printf("%zu files, %lu mutations\n", texts.size(), done);
}
