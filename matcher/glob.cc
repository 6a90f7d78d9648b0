// SPDX-License-Identifier: Apache-2.0
#include "matcher/glob.h"

#include <cstddef>
#include <cstdint>

namespace rulec {
namespace {

struct Token {
  enum class Kind : std::uint8_t { Character, Star, DoubleStar, Folders } kind = Kind::Character;
  char character = 0;
};

}  // namespace

static std::vector<Token> tokens_of(std::string_view glob) {
  std::vector<Token> out;
  for (std::size_t i = 0; i < glob.size(); ++i) {
    if (glob[i] != '*') {
      out.push_back({Token::Kind::Character, glob[i]});
    } else if (glob.substr(i, 3) == "**/") {
      out.push_back({Token::Kind::Folders});
      i += 2;
    } else if (glob.substr(i, 2) == "**") {
      out.push_back({Token::Kind::DoubleStar});
      i += 1;
    } else {
      out.push_back({Token::Kind::Star});
    }
  }
  return out;
}

bool glob_match(std::string_view glob, std::string_view text, std::vector<std::string>* stars) {
  const std::vector<Token> tokens = tokens_of(glob);
  const std::size_t width = text.size() + 1;
  // fits[t * width + i]: tokens from t on match text from i on.
  std::vector<std::uint8_t> fits((tokens.size() + 1) * width, 0);
  fits[tokens.size() * width + text.size()] = 1;
  for (std::size_t t = tokens.size(); t-- > 0;) {
    for (std::size_t i = width; i-- > 0;) {
      const bool more = i < text.size();
      bool fit = false;
      switch (tokens[t].kind) {
        case Token::Kind::Character:
          fit = more && text[i] == tokens[t].character && fits[(t + 1) * width + i + 1] != 0;
          break;
        case Token::Kind::Star:
          fit = fits[(t + 1) * width + i] != 0 ||
                (more && text[i] != '/' && fits[t * width + i + 1] != 0);
          break;
        case Token::Kind::DoubleStar:
          fit = fits[(t + 1) * width + i] != 0 || (more && fits[t * width + i + 1] != 0);
          break;
        case Token::Kind::Folders: {
          // Nothing, or any text that ends in a slash.
          fit = fits[(t + 1) * width + i] != 0;
          for (std::size_t j = i; !fit && j < text.size(); ++j) {
            fit = text[j] == '/' && fits[(t + 1) * width + j + 1] != 0;
          }
          break;
        }
      }
      fits[t * width + i] = fit ? 1 : 0;
    }
  }
  if (fits[0] == 0) return false;
  if (stars == nullptr) return true;
  stars->clear();
  std::size_t i = 0;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    if (tokens[t].kind == Token::Kind::Character) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (fits[(t + 1) * width + end] == 0 ||
           (tokens[t].kind == Token::Kind::Folders && end != i && text[end - 1] != '/')) {
      ++end;
    }
    stars->emplace_back(text.substr(i, end - i));
    i = end;
  }
  return true;
}

}  // namespace rulec
