// SPDX-License-Identifier: Apache-2.0
#pragma once

// Breaks lines. Private to grammar/: ast_printer says what belongs together, this decides where
// lines end, at 100 columns. A group that fits stands on one line; one that does not breaks at each
// of its `line`s and where needed at its `fill`s. A comment breaks every group around it.
//
//   Layout out;
//   out.open(), out.text("f("), out.indent(2), out.line(""), …, out.outdent(2), out.close();
//   std::string text = out.render();

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rulec {

class Layout {
 public:
  void text(std::string_view text) { add(Op::Text, std::string(text)); }
  // A space: never at the beginning or end of a line.
  void space() { add(Op::Line, " ", true); }
  // A line end if the group is broken, else `flat`.
  void line(std::string_view flat) { add(Op::Line, std::string(flat)); }
  // A line end if what follows up to the next fill or line does not fit, else a space.
  void fill() { add(Op::Fill, " "); }
  void hard_line() { add(Op::Hard); }
  void blank_line() { add(Op::Blank); }
  void open() { add(Op::Open); }
  void close() { add(Op::Close); }
  void indent(int columns) { add(Op::Indent, {}, false, columns); }
  void outdent(int columns) { add(Op::Indent, {}, false, -columns); }
  // Behind what stands on the line; the line ends with it.
  void trailing_comment(std::string_view text) { add(Op::Trailing, std::string(text)); }
  // On a line of its own.
  void own_comment(std::string_view text) { add(Op::Own, std::string(text)); }

  std::string render(std::size_t width = 100) const;

 private:
  enum class Op { Text, Line, Fill, Hard, Blank, Open, Close, Indent, Trailing, Own };
  struct Piece {
    Op op;
    std::string text;
    bool fixed;  // a Line that stays a space
    int columns;
  };

  void add(Op op, std::string text = {}, bool fixed = false, int columns = 0) {
    pieces_.push_back({op, std::move(text), fixed, columns});
  }

  std::vector<Piece> pieces_;

  friend class LayoutWriter;
};

}  // namespace rulec
