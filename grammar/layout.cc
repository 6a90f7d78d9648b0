// SPDX-License-Identifier: Apache-2.0
// One pass over the pieces with their flat widths summed up beforehand. Indentation and spaces are
// written only when text follows, so no line ends in spaces.
#include "grammar/layout.h"

#include <algorithm>

namespace rulec {

// Wider than any page: what holds a comment or a hard line end never fits.
static constexpr std::size_t never = 1'000'000'000;

static std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & '\xC0') != '\x80'; }));
}

class LayoutWriter {
 public:
  LayoutWriter(const std::vector<Layout::Piece>& pieces, std::size_t width)
      : pieces_(pieces), width_(width) {
    measure();
  }

  std::string write() {
    for (at_ = 0; at_ < pieces_.size(); ++at_)
      put(pieces_[at_]);
    end_line();
    return std::move(out_);
  }

 private:
  using Op = Layout::Op;

  // before_[i]: the flat width of all pieces before i. next_break_[i]: the first piece from i on at
  // which a line may end.
  void measure() {
    before_.resize(pieces_.size() + 1);
    close_of_.resize(pieces_.size());
    std::vector<std::size_t> open;
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      const auto& piece = pieces_[i];
      std::size_t width = 0;
      if (piece.op == Op::Text || piece.op == Op::Line || piece.op == Op::Fill)
        width = width_of(piece.text);
      else if (piece.op == Op::Hard || piece.op == Op::Blank || piece.op == Op::Own ||
               piece.op == Op::Trailing)
        width = never;
      before_[i + 1] = before_[i] + width;
      if (piece.op == Op::Open) {
        open.push_back(i);
      } else if (piece.op == Op::Close) {
        close_of_[open.back()] = i;
        open.pop_back();
      }
    }
    next_break_.resize(pieces_.size() + 1, pieces_.size());
    for (std::size_t i = pieces_.size(); i-- > 0;) {
      const auto& piece = pieces_[i];
      bool breaks = (piece.op == Op::Line && !piece.fixed) || piece.op == Op::Fill ||
                    piece.op == Op::Hard || piece.op == Op::Blank || piece.op == Op::Own ||
                    piece.op == Op::Trailing;
      next_break_[i] = breaks ? i : next_break_[i + 1];
    }
  }

  std::size_t column() const {
    return line_empty_ ? static_cast<std::size_t>(indent_) : column_ + pending_;
  }

  // Do the pieces up to `end`, and what clings to them, fit into the line?
  bool fits(std::size_t end) const {
    return column() + before_[next_break_[end]] - before_[at_] <= width_;
  }

  // Where the segment behind a fill ends: at the next fill or line of the same group.
  std::size_t segment_end() const {
    for (std::size_t i = at_ + 1; i < pieces_.size(); ++i) {
      if (pieces_[i].op == Op::Open)
        i = close_of_[i];
      else if (pieces_[i].op != Op::Text && pieces_[i].op != Op::Indent && !pieces_[i].fixed)
        return i;
    }
    return pieces_.size();
  }

  void put(const Layout::Piece& piece) {
    switch (piece.op) {
      case Op::Text:
        put_text(piece.text);
        break;
      case Op::Line:
        if (broken_.back() && !piece.fixed)
          end_line();
        else if (!line_empty_)
          pending_ = std::max(pending_, piece.text.size());
        segment_line_.back() = lines_;
        break;
      case Op::Fill: {
        auto end = segment_end();
        // Nor does anything go on behind a segment that took several lines.
        bool whole =
            before_[end] - before_[at_] < never && fits(end) && segment_line_.back() == lines_;
        if (broken_.back() && !whole)
          end_line();
        else if (!line_empty_)
          pending_ = 1;
        segment_line_.back() = lines_;
        break;
      }
      case Op::Hard:
        end_line();
        segment_line_.back() = lines_;
        break;
      case Op::Blank:
        end_line();
        if (!out_.empty() && !out_.ends_with("\n\n")) out_ += '\n';
        segment_line_.back() = lines_;
        break;
      case Op::Open:
        broken_.push_back(broken_.back() && !fits(close_of_[at_]));
        segment_line_.push_back(lines_);
        break;
      case Op::Close:
        broken_.pop_back();
        segment_line_.pop_back();
        break;
      case Op::Indent:
        indent_ += piece.columns;
        break;
      case Op::Trailing:
        // The line may have ended already; then the comment goes back to it.
        if (line_empty_ && !after_comment_ && !out_.empty()) {
          while (out_.ends_with('\n'))
            out_.pop_back();
          line_empty_ = false;
        }
        pending_ = 2;
        put_text(piece.text);
        end_line();
        after_comment_ = true;
        break;
      case Op::Own:
        end_line();
        put_text(piece.text);
        end_line();
        after_comment_ = true;
        break;
    }
  }

  void put_text(std::string_view text) {
    if (text.empty()) return;
    if (line_empty_) {
      out_.append(static_cast<std::size_t>(indent_), ' ');
      column_ = static_cast<std::size_t>(indent_);
    } else {
      out_.append(pending_, ' ');
      column_ += pending_;
    }
    pending_ = 0;
    out_ += text;
    column_ += width_of(text);
    line_empty_ = false;
    after_comment_ = false;
  }

  void end_line() {
    pending_ = 0;
    if (line_empty_) return;
    out_ += '\n';
    ++lines_;
    line_empty_ = true;
  }

  const std::vector<Layout::Piece>& pieces_;
  std::size_t width_;
  std::vector<std::size_t> before_, next_break_, close_of_;
  std::vector<bool> broken_ = {true};
  std::vector<std::size_t> segment_line_ = {0};  // per open group: where its last segment began
  std::size_t lines_ = 0;
  std::string out_;
  std::size_t at_ = 0;
  std::size_t column_ = 0;
  std::size_t pending_ = 0;
  int indent_ = 0;
  bool line_empty_ = true;
  bool after_comment_ = false;
};

std::string Layout::render(std::size_t width) const {
  return LayoutWriter(pieces_, width).write();
}

}  // namespace rulec
