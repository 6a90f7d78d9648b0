// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the grammar matched in one item, as a flat tree: between peg.h, which matches, and
// build_*.cc, which make ast.h of it. Private to grammar/. Nodes stand in text order, each before
// its parts; going back in the grammar cuts the tail off.
//
//   for (Node part : node.parts())
//     if (part.is<peg::name>()) use(part.text());

#include <cstdint>
#include <string_view>
#include <vector>

#include "grammar/ast_base.h"
#include "grammar/source.h"

namespace rulec::syntax {

// The address of a rule's tag is its identity.
template <typename Rule>
inline constexpr char tag = 0;

struct Entry {
  const void* rule;
  std::uint32_t begin;
  std::uint32_t end;
  std::uint32_t size;  // entries of its subtree, itself included
};

class Node {
 public:
  Node(const Entry* entry, std::string_view text) : entry_(entry), text_(text) {}

  template <typename... Rules>
  bool is() const {
    return ((entry_->rule == &tag<Rules>) || ...);
  }

  Span span() const { return {entry_->begin, entry_->end}; }
  std::string_view text() const { return text_.substr(entry_->begin, entry_->end - entry_->begin); }

  // The direct parts, in text order.
  class Parts {
   public:
    class Iterator {
     public:
      Iterator(const Entry* at, std::string_view text) : at_(at), text_(text) {}
      Node operator*() const { return {at_, text_}; }
      Iterator& operator++() {
        at_ += at_->size;
        return *this;
      }
      bool operator==(const Iterator& other) const { return at_ == other.at_; }

     private:
      const Entry* at_;
      std::string_view text_;
    };
    Parts(const Entry* parent, std::string_view text) : parent_(parent), text_(text) {}
    Iterator begin() const { return {parent_ + 1, text_}; }
    Iterator end() const { return {parent_ + parent_->size, text_}; }
    bool empty() const { return parent_->size == 1; }
    bool single() const { return !empty() && parent_[1].size + 1 == parent_->size; }
    Node front() const { return *begin(); }

   private:
    const Entry* parent_;
    std::string_view text_;
  };
  Parts parts() const { return {entry_, text_}; }

 private:
  const Entry* entry_;
  std::string_view text_;
};

}  // namespace rulec::syntax
