// SPDX-License-Identifier: Apache-2.0
#include "tools/kernels/html_style.h"

namespace lamina::kernel_bench {

// The badges' colours have a contrast of 4.5 and more to their text in both themes.
constexpr std::string_view kKernelStyle = R"css(
:root { --bad: #a3260d; --good: #14662d; --open: #6b5300; }
@media (prefers-color-scheme: dark) {
  :root { --bad: #ff9c85; --good: #7ddc9a; --open: #e6c55c; }
}
body { max-width: 1400px; }
.badge { display: inline-block; padding: 0 7px; border: 1px solid currentColor; border-radius: 99px;
         font-size: 12px; font-weight: 650; letter-spacing: 0.03em; }
.badge.slower { color: var(--bad); border-width: 2px; }
.badge.faster { color: var(--good); }
.badge.ambiguous { color: var(--open); border-style: dashed; }
.badge.same { color: var(--soft); font-weight: 500; border-color: transparent; padding: 0; }
.kernels th[scope="row"] { font-weight: 550; overflow-wrap: anywhere; min-width: 150px;
                         position: sticky; left: 0; z-index: 1; background: var(--card); }
.kernels small { display: block; font-size: 12.5px; font-weight: 400; color: var(--soft); }
.kernels td, .kernels thead th { white-space: nowrap; }
.kernels td.words, .kernels th.words { text-align: left; }
.kernels .bar::before { top: 29px; bottom: auto; opacity: 1; }
.kernels .bar::after { content: ""; position: absolute; left: 10px; right: 10px; top: 29px;
                       height: 3px; background: var(--soft); border-radius: 2px; opacity: 0.22; }
.kernels tbody tr:hover > * { background: color-mix(in srgb, var(--line0) 7%, var(--card)); }
.kernels button { all: unset; cursor: pointer; }
.kernels button:focus-visible { outline: 2px solid var(--line0); outline-offset: 2px; }
.kernels th[aria-sort="ascending"] button::after { content: " \25B4"; }
.kernels th[aria-sort="descending"] button::after { content: " \25BE"; }
.filter { display: block; margin: 0 0 12px; font-size: 15px; }
.filter input { font: inherit; width: min(100%, 320px); margin-left: 8px; padding: 4px 10px;
                color: inherit; background: var(--page); border: 1px solid var(--rule);
                border-radius: 6px; }
.changes { margin: 0 0 18px; }
.changes td { white-space: normal; }
.changes th[scope="row"] { overflow-wrap: anywhere; font-weight: 550; }
.legend { font-size: 14px; }
@media (max-width: 760px) {
  .kernels { font-size: 13.5px; }
  .kernels .bar::after { left: 7px; right: 7px; }
  .changes tr { display: grid; grid-template-columns: auto minmax(0, 1fr); padding: 4px 0; }
  .changes tr > * { padding: 2px 7px 2px 0; border: 0; }
  .changes td.wide { grid-column: 1 / -1; }
  .filter input { margin-left: 0; width: 100%; }
}
)css";

constexpr std::string_view kKernelScript = R"js(
"use strict";
const table = document.querySelector(".kernels");
const body = table.tBodies[0];
const heads = Array.from(table.tHead.rows[0].cells);
function value(row, column) {
  const cell = row.cells[column];
  const number = cell.getAttribute("data-v");
  return number === null ? cell.textContent : (number === "" ? NaN : Number(number));
}
function order(a, b) {
  if (typeof a === "string") return a.localeCompare(b, "en", {numeric: true});
  return a - b;
}
function sort(head, column) {
  const down = head.getAttribute("aria-sort") === "ascending";
  heads.forEach(function (h) { h.removeAttribute("aria-sort"); });
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const sign = down ? -1 : 1;
  const rows = Array.from(body.rows).map(function (row) { return [value(row, column), row]; });
  /* Rows without a number come last, whichever way the others go. */
  const full = rows.filter(function (r) { return !Number.isNaN(r[0]); });
  const empty = rows.filter(function (r) { return Number.isNaN(r[0]); });
  full.sort(function (a, b) { return sign * order(a[0], b[0]); });
  full.concat(empty).forEach(function (r) { body.append(r[1]); });
}
heads.forEach(function (head, column) {
  const button = document.createElement("button");
  button.type = "button";
  button.title = "Sort by " + head.textContent;
  button.append(head.textContent);
  head.replaceChildren(button);
  button.addEventListener("click", function () { sort(head, column); });
});
const label = document.createElement("label");
label.className = "filter";
const input = document.createElement("input");
input.type = "search";
label.append("Show rows with the words", input);
table.parentNode.before(label);
input.addEventListener("input", function () {
  const words = input.value.toLowerCase().split(" ").filter(Boolean);
  Array.from(body.rows).forEach(function (row) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every(function (word) { return text.includes(word); });
  });
});
)js";

}  // namespace lamina::kernel_bench
