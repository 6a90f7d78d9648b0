// SPDX-License-Identifier: Apache-2.0
// One item after the other: match, build, and behind an error go on where the next item seems to
// begin. The only file of grammar/ that catches exceptions.
#include "grammar/parse.h"

#include <algorithm>
#include <array>

#include "grammar/build.h"
#include "grammar/hints.h"
#include "grammar/match.h"

namespace rulec {
namespace {

using Input = tao::pegtl::memory_input<tao::pegtl::tracking_mode::lazy>;

// Errors behind this one are most likely echoes.
constexpr int max_reported = 100;

// Lines that begin with one of these go on with an item, they do not begin one.
constexpr std::array<std::string_view, 18> inner_words = {
    "where",  "let",   "expect", "priority", "for",  "tolerance", "limit", "recursive", "see",
    "retype", "match", "emit",   "requires", "when", "before",    "after", "else",      "by"};

// Words that begin an item unless they are names after all.
constexpr std::array<std::string_view, 10> item_words = {"package",   "import", "target",   "param",
                                                         "predicate", "op",     "template", "edit",
                                                         "pipeline",  "test"};

bool begins_item(std::string_view line) {
  if (line.empty()) return false;
  if (line[0] == '`' || line[0] == '(') return true;
  if (!peg::is_word_char(line[0]) || (line[0] >= '0' && line[0] <= '9')) return false;
  auto end = std::find_if_not(line.begin(), line.end(), peg::is_word_char);
  std::string_view word(line.begin(), end);
  return std::find(inner_words.begin(), inner_words.end(), word) == inner_words.end();
}

// The first line start behind `offset` where an item seems to begin, or the end of the text.
std::uint32_t next_item(std::string_view text, std::uint32_t offset) {
  for (auto at = text.find('\n', offset); at != text.npos; at = text.find('\n', at + 1))
    if (begins_item(text.substr(at + 1))) return static_cast<std::uint32_t>(at + 1);
  return static_cast<std::uint32_t>(text.size());
}

class Parser {
 public:
  Parser(const Source& source, Diagnostics& diagnostics)
      : text_(source.text()), diagnostics_(diagnostics), in_(text_.data(), text_.size(), "") {}

  std::optional<ast::File> run() {
    peg::skip_spaces(in_, state_);
    try_match<peg::opt<peg::package>>(
        [&](syntax::Node node) { file_.package = build_package(node); });
    while (!in_.empty() && reported_ < max_reported)
      try_match<peg::item>([&](syntax::Node node) { file_.items.push_back(build_item(node)); });
    if (reported_ == max_reported)
      diagnostics_.error(DiagnosticKind::SyntaxError, here(),
                         "too many errors, the rest is not shown");
    if (reported_ != 0) return std::nullopt;
    file_.span = {0, static_cast<std::uint32_t>(text_.size())};
    add_comments();
    add_blank_lines();
    return std::move(file_);
  }

 private:
  Span here() const {
    auto at = peg::offset_of(in_);
    return {at, at + 1};
  }

  template <typename Rule, typename Keep>
  void try_match(Keep keep) {
    auto begin = peg::offset_of(in_);
    state_.entries.clear();
    state_.depth = 0;
    try {
      bool matched =
          syntax::control<Rule>::template match<tao::pegtl::apply_mode::nothing,
                                                tao::pegtl::rewind_mode::required,
                                                tao::pegtl::nothing, syntax::control>(in_, state_);
      if (!matched)
        reject(begin,
               {DiagnosticKind::SyntaxError, here(),
                file_.items.empty() || begin == 0 ? "expected a rule or another item"
                                                  : "expected a clause, a rule or another item"});
      else if (!state_.entries.empty())
        keep(syntax::Node(state_.entries.data(), text_));
    } catch (const syntax::Rejected& rejected) {
      reject(begin, rejected);
    }
  }

  void reject(std::uint32_t begin, syntax::Rejected rejected) {
    ++reported_;
    if (blame_unfinished(begin, rejected)) begin = rejected.span.begin;
    auto last = static_cast<std::uint32_t>(text_.size());
    Span span{std::min(rejected.span.begin, last), std::min(rejected.span.end, last)};
    diagnostics_.error(rejected.kind, span, "{}{}", rejected.message,
                       rejected.kind == DiagnosticKind::SyntaxError
                           ? hint(rejected.message, text_, span.begin)
                           : std::string());
    auto resume = next_item(text_, std::max(begin, state_.token_end));
    in_.restart();
    in_.bump(resume);
    state_.token_end = resume;
    peg::skip_spaces(in_, state_);
  }

  // Line ends are spaces, so what is left unfinished takes the next item's first word for a name:
  // `where` at the end of a line and `rule` in the next. Then the item above is what is wrong.
  bool blame_unfinished(std::uint32_t begin, syntax::Rejected& rejected) {
    auto end = state_.token_end;
    auto start = end;
    while (start > 0 && peg::is_word_char(text_[start - 1]))
      --start;
    auto word = text_.substr(start, end - start);
    bool item =
        word == "rule" || std::find(item_words.begin(), item_words.end(), word) != item_words.end();
    if (start == begin || start == 0 || text_[start - 1] != '\n' || !item) return false;
    auto last = start;
    auto comment = state_.comments.rbegin();
    while (last > 0) {
      while (comment != state_.comments.rend() && comment->begin >= last)
        ++comment;
      if (comment != state_.comments.rend() && comment->end >= last)
        last = comment->begin;
      else if (peg::is_space(text_[last - 1]))
        --last;
      else
        break;
    }
    state_.token_end = last;
    rejected = {DiagnosticKind::SyntaxError,
                {last, last + 1},
                fmt::format("expected more before `{}` begins the next item", word)};
    return true;
  }

  bool own_line(Span comment) const {
    auto line = text_.rfind('\n', comment.begin);
    auto before = text_.substr(line == text_.npos ? 0 : line + 1);
    return before.find_first_not_of(" \t") == comment.begin - (text_.size() - before.size());
  }

  void add_comments() {
    for (Span span : state_.comments) {
      auto text = text_.substr(span.begin, span.end - span.begin);
      while (!text.empty() && peg::is_space(text.back()))
        text.remove_suffix(1);
      bool own = own_line(span);
      bool doc = own && text.starts_with("##") && !text.starts_with("###");
      span.end = span.begin + static_cast<std::uint32_t>(text.size());
      file_.comments.push_back({std::string(text), own, doc, span});
    }
    if (file_.package) add_doc(file_.package->doc, file_.package->span);
    for (auto& item : file_.items)
      std::visit([&](auto& each) { add_doc(each.doc, each.span); }, item);
  }

  void add_blank_lines() {
    for (std::size_t begin = 0; begin < text_.size();) {
      auto end = std::min(text_.find('\n', begin), text_.size());
      if (text_.substr(begin, end - begin).find_first_not_of(" \t\r") == text_.npos)
        file_.blank_lines.push_back(static_cast<std::uint32_t>(begin));
      begin = end + 1;
    }
  }

  // The `##` lines that end on the line above `item`.
  void add_doc(std::string& doc, Span item) const {
    const auto& all = file_.comments;
    auto behind = std::partition_point(all.begin(), all.end(),
                                       [&](const auto& c) { return c.span.begin < item.begin; });
    auto next = item.begin;
    auto first = behind;
    while (first != all.begin()) {
      const auto& comment = *(first - 1);
      auto gap = text_.substr(comment.span.end, next - comment.span.end);
      if (!comment.doc || std::count(gap.begin(), gap.end(), '\n') != 1 ||
          !std::all_of(gap.begin(), gap.end(), peg::is_space))
        break;
      next = comment.span.begin;
      --first;
    }
    for (; first != behind; ++first) {
      std::string_view line(first->text);
      line.remove_prefix(2);
      if (line.starts_with(' ')) line.remove_prefix(1);
      if (!doc.empty()) doc += '\n';
      doc += line;
    }
  }

  std::string_view text_;
  Diagnostics& diagnostics_;
  Input in_;
  syntax::State state_ = {};
  ast::File file_ = {};
  int reported_ = 0;
};

// The offset of the first byte that is not UTF-8, or npos. Overlong forms and surrogates are none.
std::size_t find_bad_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    auto lead = static_cast<unsigned char>(text[i]);
    std::size_t length = lead < 0x80   ? 1
                         : lead < 0xC2 ? 0
                         : lead < 0xE0 ? 2
                         : lead < 0xF0 ? 3
                         : lead < 0xF5 ? 4
                                       : 0;
    if (length == 0 || text.size() - i < length) return i;
    for (std::size_t k = 1; k < length; ++k) {
      auto byte = static_cast<unsigned char>(text[i + k]);
      unsigned low = k == 1 && lead == 0xE0 ? 0xA0 : k == 1 && lead == 0xF0 ? 0x90 : 0x80;
      unsigned high = k == 1 && lead == 0xED ? 0x9F : k == 1 && lead == 0xF4 ? 0x8F : 0xBF;
      if (byte < low || byte > high) return i;
    }
    i += length;
  }
  return text.npos;
}

}  // namespace

void syntax::check_nesting(const State&, std::uint32_t at, char next) {
  if (next == '(' || next == '[' || next == '{')
    throw Rejected{DiagnosticKind::NestingLimit,
                   {at, at + 1},
                   fmt::format("brackets are nested more than {} deep", max_nesting)};
}

void syntax::check_list(const State& state, std::size_t index) {
  std::size_t count = 0;
  Node node(&state.entries[index], {});
  for (Node part : node.parts()) {
    (void)part;
    ++count;
  }
  if (count > max_list)
    throw Rejected{DiagnosticKind::ListLimit,
                   {node.span().begin, node.span().begin + 1},
                   fmt::format("a list of {} parts begins here, more than {}", count, max_list)};
}

std::optional<ast::File> parse(const Source& source, Diagnostics& diagnostics) {
  auto text = source.text();
  if (text.size() > max_file_bytes) {
    diagnostics.error(DiagnosticKind::FileLimit, {0, 1}, "the file has {} bytes, more than {}",
                      text.size(), max_file_bytes);
    return std::nullopt;
  }
  if (auto at = find_bad_utf8(text); at != text.npos) {
    auto offset = static_cast<std::uint32_t>(at);
    diagnostics.error(DiagnosticKind::BadEncoding, {offset, offset + 1},
                      "this byte is not UTF-8; save the file as UTF-8");
    return std::nullopt;
  }
  return Parser(source, diagnostics).run();
}

}  // namespace rulec
