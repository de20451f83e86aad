// Two themes as variables, then the page from top to bottom. Colours only repeat what a dash, a
// marker, a weight or a number says too.
// SPDX-License-Identifier: Apache-2.0
#include "engine/train/report_style.h"

namespace lamina {

constexpr std::string_view kReportStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --card: #ffffff; --rule: #dde1e7; --text: #1a1f26; --soft: #5a6472;
  --line0: #0a5cb8; --line1: #b0440a; --line2: #1a7335; --line3: #8426a8; --line4: #7d5a00;
  --line5: #0b6b7a; --hit: 10,92,184; --miss: 205,80,10;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0e1116; --card: #161b22; --rule: #2b333d; --text: #e7eaee; --soft: #9ba6b4;
    --line0: #74b5ff; --line1: #ffab66; --line2: #7ddc9a; --line3: #dca6ff; --line4: #e6c55c;
    --line5: #66d4e3; --hit: 70,140,235; --miss: 235,120,45;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 32px 24px 64px; max-width: 1128px; background: var(--page);
  color: var(--text); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
  "DejaVu Sans", sans-serif; font-variant-numeric: tabular-nums;
}
body.wide { max-width: 1320px; }
h1 { margin: 0; font-size: 30px; line-height: 1.2; letter-spacing: -0.01em;
     overflow-wrap: anywhere; }
h2 { margin: 0 0 14px; font-size: 20px; line-height: 1.3; }
h3 { margin: 0 0 6px; font-size: 15px; line-height: 1.3; }
p { margin: 0 0 12px; max-width: 80ch; }
.soft, figcaption { color: var(--soft); }
figure { margin: 0; min-width: 0; }
figcaption { margin-top: 8px; font-size: 14px; }
header p { margin: 6px 0 0; max-width: none; overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 14px 0 0; font-size: 15px; }
a { color: var(--line0); text-underline-offset: 3px; }
section { margin: 20px 0 0; padding: 22px 24px 24px; background: var(--card);
          border: 1px solid var(--rule); border-radius: 10px; scroll-margin-top: 12px; }

section > :last-child { margin-bottom: 0; }

.headline { display: grid; grid-template-columns: 2fr 3fr; gap: 20px 40px;
            align-items: center; }
.headline .label { display: block; color: var(--soft); font-size: 15px; }
.headline .big { display: block; font-size: 54px; line-height: 1.15; font-weight: 650;
                 letter-spacing: -0.02em; }
.headline dl { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr));
               gap: 16px 24px; margin: 0; }
.headline dt { color: var(--soft); font-size: 14px; }
.headline dd { margin: 0; font-size: 19px; font-weight: 550; }

.charts { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 28px 32px; }
.charts + .charts { margin-top: 28px; }
.charts.small { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 28px 24px; }
.charts.small .chart text { font-size: 16px; }
.chart { display: block; width: 100%; height: auto; overflow: visible; }
.chart text { font-size: 12.5px; fill: var(--text); }
.chart .axis, .chart .value { fill: var(--soft); }
.chart .name { font-weight: 600; }
.chart .grid { stroke: var(--rule); stroke-width: 1; }
.chart .tick { stroke: var(--soft); stroke-width: 1; }
.chart .mark { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 1.5 3; }
.chart .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: butt; }
.chart .line0 { stroke: var(--line0); }
.chart .line1 { stroke: var(--line1); stroke-dasharray: 6 4; }
.chart .line2 { stroke: var(--line2); stroke-dasharray: 2 3; }
.chart .line3 { stroke: var(--line3); stroke-dasharray: 11 3 2 3; }
.chart .line4 { stroke: var(--line4); stroke-dasharray: 9 5; }
.chart .line5 { stroke: var(--line5); stroke-dasharray: 4 2 1 2; }
.chart .line6 { stroke: var(--line0); stroke-dasharray: 1 4; }
.chart .line7 { stroke: var(--line1); stroke-dasharray: 14 4; }
.chart .line8 { stroke: var(--line2); stroke-dasharray: 6 3 1 3 1 3; }
.chart .line9 { stroke: var(--line3); stroke-dasharray: 3 5; }
.chart .line10 { stroke: var(--line4); stroke-dasharray: 16 3 4 3; }
.chart .line11 { stroke: var(--line5); stroke-dasharray: 8 2; }
.chart .dot0 { fill: var(--line0); }
.chart .dot1 { fill: var(--line1); }
.chart .dot2 { fill: var(--line2); }
.chart .dot3 { fill: var(--line3); }
.chart .dot4 { fill: var(--line4); }
.chart .dot5 { fill: var(--line5); }
.chart .hollow { fill: var(--card); stroke-width: 1.6; }
.chart .hollow0 { stroke: var(--line0); }
.chart .hollow1 { stroke: var(--line1); }
.chart .hollow2 { stroke: var(--line2); }
.chart .hollow3 { stroke: var(--line3); }
.chart .hollow4 { stroke: var(--line4); }
.chart .hollow5 { stroke: var(--line5); }
.chart.key { display: inline-block; width: 40px; height: 12px; vertical-align: baseline; }
.chart .band { fill: var(--line0); opacity: 0.2; }

.scroll { overflow-x: auto; -webkit-overflow-scrolling: touch; }
.scroll:focus-visible { outline: 2px solid var(--line0); outline-offset: 2px; }
table { border-collapse: collapse; font-size: 14.5px; }
th { font-weight: 600; text-align: left; }
th, td { padding: 5px 10px; vertical-align: baseline; }
thead th { color: var(--soft); font-weight: 500; border-bottom: 1px solid var(--rule); }
tbody tr + tr > * { border-top: 1px solid var(--rule); }
.numbers { width: 100%; }
.numbers td, .numbers th + th { text-align: right; white-space: nowrap; }
.numbers tr.best > * { font-weight: 700; white-space: nowrap; }
.numbers th:first-child { padding-left: 0; }
.bar { position: relative; min-width: 88px; }
.bar::before { content: ""; position: absolute; left: 10px; bottom: 2px; height: 3px;
               width: calc((100% - 20px) * var(--share)); background: var(--line0);
               border-radius: 2px; opacity: 0.65; }
.runs td.words, .runs th.words { text-align: left; }
.runs th[scope="row"] { position: sticky; left: 0; z-index: 1; background: var(--card);
                        overflow-wrap: anywhere; min-width: 180px; }
.runs small { display: block; color: var(--soft); font-size: 12.5px; font-weight: 400; }
.runs b.best { font-weight: 700; }
.runs + p, .scroll + p { margin: 14px 0 0; font-size: 14px; }
.keys { display: flex; flex-wrap: wrap; gap: 6px 26px; margin: 0 0 18px; padding: 0;
        list-style: none; font-size: 14.5px; }
.keys li { overflow-wrap: anywhere; }
.keys b { margin: 0 3px 0 8px; }
.split { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 6fr); gap: 28px 40px; }
.facts { width: 100%; max-width: 620px; }
.facts th { padding-left: 0; color: var(--soft); font-weight: 500; white-space: nowrap; }
.facts td { padding-right: 0; text-align: right; overflow-wrap: anywhere; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr));
           gap: 28px 40px; align-items: start; }

.columns .two { grid-column: span 2; }
.halves { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 40px;
          align-items: start; }
table + h3 { margin-top: 22px; }

.confusion { font-size: 13.5px; }
.confusion th, .confusion td { padding: 0; border: 0 !important; }
.confusion td { width: 42px; min-width: 32px; height: 32px; text-align: center;
                vertical-align: middle; box-shadow: inset 0 0 0 1px var(--card); }
.confusion tbody th { padding-right: 10px; text-align: right; vertical-align: middle;
                      white-space: nowrap; font-weight: 500; position: sticky; left: 0;
                      background: var(--card); }
.confusion thead th { padding: 0 0 6px; text-align: center; vertical-align: bottom; border: 0;
                      color: var(--text); }
.confusion thead span { display: inline-block; white-space: nowrap; }
.confusion .tall span { writing-mode: vertical-rl; transform: rotate(180deg); }
.confusion .hit { background: rgba(var(--hit), var(--a)); font-weight: 700; }
.confusion .miss { background: rgba(var(--miss), var(--a)); }
.confusion .none { color: var(--soft); opacity: 0.6; }

.images { display: grid; grid-template-columns: repeat(auto-fill, minmax(116px, 1fr));
          gap: 20px 14px; }
.images img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain;
              border: 1px solid var(--rule); border-radius: 6px; background: #808080; }
.images img.tiny { image-rendering: pixelated; }
.images figcaption { margin-top: 6px; font-size: 13px; line-height: 1.35; overflow-wrap: anywhere; }
.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(84px, 1fr));
        gap: 8px; margin-bottom: 8px; }
.maps img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain;
            image-rendering: pixelated; border: 1px solid var(--rule); border-radius: 4px; }
.layer { display: grid; grid-template-columns: 190px minmax(0, 1fr); gap: 6px 24px;
         padding: 14px 0 6px; }
.layer + .layer { border-top: 1px solid var(--rule); }
.layer figcaption { margin: 0; overflow-wrap: anywhere; }
.layer figcaption b { display: block; color: var(--text); font-size: 15px; }
.layer .maps.one { grid-template-columns: minmax(0, 150px); }
.images b { color: var(--text); }

pre { margin: 0; font: 12.5px/1.45 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono",
      monospace; }
details > summary { cursor: pointer; color: var(--line0); }
details[open] > summary { margin-bottom: 10px; }

@media (max-width: 760px) {
  body { padding: 20px 12px 40px; }
  h1 { font-size: 24px; }
  section { margin-top: 12px; padding: 16px 14px 18px; }
  .headline, .charts, .charts.small, .split, .layer { grid-template-columns: minmax(0, 1fr); }
  .columns, .halves { grid-template-columns: minmax(0, 1fr); }
  .columns .two { grid-column: auto; }
  .headline .big { font-size: 46px; }
  .headline dl { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .chart text, .charts.small .chart text { font-size: 15.5px; }
  .confusion { font-size: 12px; }
  .confusion { width: 100%; }
  .confusion td { min-width: 24px; width: auto; height: 28px; }
  nav { gap: 4px 13px; font-size: 14px; }
  .confusion tbody th { padding-right: 6px; }
  th, td { padding: 5px 7px; }
  .runs th[scope="row"] { min-width: 118px; }
  .bar { min-width: 62px; }
  .bar::before { left: 7px; width: calc((100% - 14px) * var(--share)); }
  .images { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 14px 10px; }
  .maps { grid-template-columns: repeat(auto-fill, minmax(76px, 1fr)); gap: 6px; }
}
@media print {
  body { max-width: none; padding: 0; }
  section { break-inside: avoid; border: 0; padding: 12px 0; }
  nav { display: none; }
}
)css";

}  // namespace lamina
