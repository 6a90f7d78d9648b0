// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/html.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "matcher/label.h"

namespace rulec::command {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text)
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  return out;
}

std::string html_page(std::string_view title, std::string_view body) {
  static constexpr std::string_view style =
      ":root{color-scheme:light dark}"
      "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:86em;padding:0 1em;"
      "color:#222;background:#fff}h1{font-size:1.4em}h2{font-size:1.15em;margin-top:2em}"
      "code,pre{font:13px/1.5 "
      "ui-monospace,monospace}code{overflow-wrap:anywhere}pre{background:#f5f5f2;padding:.7em 1em;"
      "overflow-x:auto}table{border-collapse:collapse}td,th{text-align:left;padding:.15em 1em "
      ".15em 0;vertical-align:top}.held{background:#cfe8cf}.failed{background:#f3c6c0}"
      ".sides{display:flex;gap:2em;flex-wrap:wrap}.sides>div{flex:1;min-width:20em;overflow-x:auto}"
      ".miss{border-left:3px solid #c9463a;padding-left:1em;margin:1.2em 0}"
      ".counts{columns:14em;list-style:none;padding:0}summary{cursor:pointer}"
      ".dim{color:#666}@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}"
      ".dim{color:#a0a0a0}pre{background:#242424}.held{background:#24502c}.failed{background:#"
      "6b2a24}}";
  return ::fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width\"><title>{}</title><style>{}</style>"
      "</head><body>\n<h1>{}</h1>\n{}</body></html>\n",
      escaped(title), style, escaped(title), body);
}

namespace {

struct Box {
  std::size_t layer = 0, place = 0;
};

constexpr int box_width = 190, box_height = 40, gap_x = 24, gap_y = 34;

// The end of a name says more than its beginning, which is the same for all of a model.
std::string shortened(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t begin = text.size() - (most - 1);
  while (begin < text.size() && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80)
    ++begin;  // not within a character
  return "…" + text.substr(begin);
}

std::string cut(const std::string& text, std::size_t most) {
  std::size_t end = 0, letters = 0;
  while (end < text.size() && letters < most) {
    do
      ++end;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
    ++letters;
  }
  if (end == text.size()) return text;
  const std::string begin = text.substr(0, end);
  return begin.ends_with("…") ? begin : begin + "…";
}

// From the foot of one box to the head of another; past the boxes that lie between.
std::string edge(int x1, int y1, int x2, int y2, bool far) {
  const int aside = far ? box_width : 0;
  return ::fmt::format("<path d=\"M{} {}C{} {} {} {} {} {}\" opacity=\"0.5\"/>\n", x1, y1,
                       x1 + aside, y1 + gap_y, x2 + aside, y2 - gap_y, x2, y2);
}

}  // namespace

std::string picture(const Model& model, const std::vector<NodeId>& nodes,
                    const std::set<NodeId>& marked) {
  std::map<NodeId, Box> boxes;
  std::vector<std::size_t> counts;
  // `nodes` are in an order in which operands come first.
  for (const NodeId id : nodes) {
    Box box;
    for (const ValueId input : model.node(id).inputs) {
      const NodeId producer = input ? model.value(input).producer : NodeId{};
      if (const auto there = boxes.find(producer); producer && there != boxes.end())
        box.layer = std::max(box.layer, there->second.layer + 1);
    }
    if (counts.size() <= box.layer) counts.resize(box.layer + 1);
    box.place = counts[box.layer]++;
    boxes[id] = box;
  }
  if (boxes.empty()) return "<p class=\"dim\">nothing</p>";
  const auto left = [&](const Box& box) {
    return 10 + static_cast<int>(box.place) * (box_width + gap_x);
  };
  const auto top = [&](const Box& box) {
    return 10 + static_cast<int>(box.layer) * (box_height + gap_y);
  };
  const std::size_t widest = *std::max_element(counts.begin(), counts.end());
  std::string out = ::fmt::format(
      "<svg width=\"{}\" height=\"{}\" font-family=\"ui-monospace,monospace\" font-size=\"12\" "
      "stroke=\"currentColor\" fill=\"none\">\n",
      20 + static_cast<int>(widest) * (box_width + gap_x),
      20 + static_cast<int>(counts.size()) * (box_height + gap_y));
  for (const auto& [id, box] : boxes)
    for (const ValueId input : model.node(id).inputs) {
      const NodeId producer = input ? model.value(input).producer : NodeId{};
      const auto from = boxes.find(producer);
      if (!producer || from == boxes.end()) continue;
      out += edge(left(from->second) + box_width / 2, top(from->second) + box_height,
                  left(box) + box_width / 2, top(box), box.layer > from->second.layer + 1);
    }
  for (const auto& [id, box] : boxes) {
    const GraphNode& node = model.node(id);
    std::string reads;
    for (const ValueId input : node.inputs)
      if (input && !boxes.contains(model.value(input).producer))
        reads += (reads.empty() ? "" : ", ") + shortened(model.value(input).name, 20);
    out += ::fmt::format(
        "<g><title>{}</title><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"5\" "
        "fill=\"{}\" fill-opacity=\"0.35\"/><text x=\"{}\" y=\"{}\" fill=\"currentColor\" "
        "stroke=\"none\">{}</text><text x=\"{}\" y=\"{}\" fill=\"currentColor\" opacity=\"0.6\" "
        "stroke=\"none\" font-size=\"10\">{}</text></g>\n",
        escaped(label(model, id)), left(box), top(box), box_width, box_height,
        marked.contains(id) ? "#e0a030" : "#8ab4d8", left(box) + 8, top(box) + 17,
        escaped(shortened(node.type, 24)), left(box) + 8, top(box) + 32,
        escaped(reads.empty() ? shortened(label(model, id), 28) : cut("reads " + reads, 28)));
  }
  return out + "</svg>\n";
}

}  // namespace rulec::command
