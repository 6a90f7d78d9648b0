// SPDX-License-Identifier: Apache-2.0
#pragma once

// A visitor for std::visit made of lambdas, one for each alternative:
//
//   std::visit(Overloaded{[](const ast::Node& node) { … }, [](const auto&) { … }}, alternative);

namespace rulec {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

}  // namespace rulec
