// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over the files of a folder, and over mutations of each with a fixed seed: GCC
// has no fuzzer of its own. `replay FOLDER [MUTATIONS]`.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size);

static void run(const std::string& text) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const unsigned char*>(text.data()), text.size());
}

// Cuts, copies, swaps or changes a few bytes, sometimes with parts of another file.
static std::string mutate(std::string text, const std::string& other, std::mt19937& random) {
  auto below = [&](std::size_t n) { return n == 0 ? 0 : random() % n; };
  for (std::size_t n = 1 + below(4); n > 0; --n) {
    auto at = below(text.size() + 1);
    auto length = below(std::min<std::size_t>(text.size() - at, 20) + 1);
    switch (below(4)) {
      case 0:
        text.erase(at, length);
        break;
      case 1:
        text.insert(at, text.substr(below(text.size()), below(20)));
        break;
      case 2:
        text.insert(at, other.substr(below(other.size()), below(40)));
        break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(below(256));
    }
  }
  return text;
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
  std::mt19937 random(20261121);
  int mutations = argc > 2 ? std::atoi(argv[2]) : 0;
  for (int i = 0; i < mutations && !texts.empty(); ++i)
    run(mutate(texts[random() % texts.size()], texts[random() % texts.size()], random));
  std::printf("%zu files, %d mutations\n", texts.size(), mutations);
  return texts.empty() ? 1 : 0;
}
