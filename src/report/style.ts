// The report page's style: light and dark, phone and paper.

export const style = `
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --line: #d8dee4; --paper: #fff; --card: #f6f8fa;
  --series-1: #0a66c2; --series-2: #c2410c; --series-3: #15803d; --series-4: #7e3fb5; --good: #15803d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa4af; --line: #30363d; --paper: #0d1117; --card: #161b22;
  --series-1: #6cb6ff; --series-2: #f69d50; --series-3: #7ee787; --series-4: #d2a8ff; --good: #7ee787; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 54rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
p { margin: .4rem 0; } .soft, figcaption span, small { color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .5rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; color: var(--soft); vertical-align: bottom; } th:first-child, td:first-child { text-align: left; }
td.name { white-space: normal; overflow-wrap: anywhere; min-width: 7rem; }
tbody th { color: var(--ink); } td, tbody th { vertical-align: top; }
#methods { font-size: .8rem; } #methods th, #methods td { padding: .3rem .35rem; } #methods td small { display: block; }
td.reason { text-align: left; white-space: normal; color: var(--soft); min-width: 16rem; } td.name .reason { white-space: normal; max-width: 14rem; }
#layers { font-size: .8rem; } #layers th, #layers td { padding: .3rem .35rem; }
.bar { display: inline-block; width: 1.8rem; height: .55rem; margin-left: .4rem; background: var(--line); vertical-align: baseline; }
.bar i { display: block; height: 100%; background: var(--series-1); }
figure { margin: 1rem 0 1.6rem; } figcaption { font-size: .9rem; margin-bottom: .3rem; }
figcaption span { display: inline-block; }
figcaption i { display: inline-block; width: .9rem; height: .22rem; margin: 0 .3rem .2rem .7rem; vertical-align: middle; }
svg { display: block; max-width: 100%; height: auto; } .narrow { display: none; }
.filters { display: flex; flex-wrap: wrap; gap: .6rem 1rem; align-items: flex-start; }
.filters div { flex: 0 1 auto; max-width: 100%; } .filters small { display: block; }
.filters img { image-rendering: pixelated; max-width: 100%; height: auto; border: 1px solid var(--line); }
.pieces { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: .6rem; }
.side { grid-template-columns: repeat(auto-fit, minmax(6.4rem, 1fr)); }
.pieces img { display: block; width: 100%; image-rendering: pixelated; } .pieces .whole img { image-rendering: auto; }
.pieces small { display: block; margin-top: .2rem; } .pieces b { color: var(--ink); white-space: nowrap; }
.whole { position: relative; display: block; } .whole i { position: absolute; border: 2px solid #e62828; box-shadow: 0 0 0 1px #fff; }
.crops img { max-width: 100%; height: auto; border: 1px solid var(--line); }
details { margin: .6rem 0; border: 1px solid var(--line); border-radius: .4rem; padding: .4rem .7rem; }
summary { cursor: pointer; overflow-wrap: anywhere; } details[open] summary { margin-bottom: .5rem; }
pre { overflow-x: auto; font-size: .8rem; background: var(--card); padding: .6rem; border-radius: .4rem; }
@media (max-width: 34rem) { body { padding: 1rem .8rem 3rem; } .wide { display: none; } .narrow { display: block; }
  table { font-size: .8rem; } th, td { padding: .3rem .3rem; } td small { display: block; } .bar { display: none; } }
@media print { :root { --ink: #000; --soft: #444; --line: #bbb; --paper: #fff; --card: #f4f4f4; --series-1: #0a66c2; --series-2: #c2410c; --series-3: #15803d; --series-4: #7e3fb5; }
  body { max-width: none; padding: 0; font-size: 11pt; } figure, details, tr { break-inside: avoid; } h2 { break-after: avoid; }
  details > * { display: block; } .wide { display: block; } .narrow { display: none; } .scroll { overflow: visible; } table { font-size: 8pt; } }
`.trim();
