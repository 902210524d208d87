"""How the report looks: one style sheet, for screens of both kinds and for paper, named by its digest in the policy.

Colours only repeat what a glyph and a word already say. Text has a contrast of at least 4.5 to 1 on its ground.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

CSS: Final = """
:root{color-scheme:light dark;--bg:#fbfbfa;--panel:#fff;--ink:#1c2127;--soft:#59636e;--line:#d9dee3;--code:#f3f4f5;
--ok:#176b37;--okbg:#dff2e5;--bad:#b3261e;--badbg:#fbe2e0;--warn:#8a5300;--warnbg:#fdeccf;--off:#59636e;--offbg:#eceff2;
--run:#0b5cad;--runbg:#dcebfb}
@media (prefers-color-scheme:dark){:root{--bg:#111418;--panel:#191e24;--ink:#e6e9ec;--soft:#a3adb8;--line:#323a43;
--code:#12161b;--ok:#6fd394;--okbg:#143322;--bad:#ff9b92;--badbg:#431b1a;--warn:#f3bd62;--warnbg:#3c2c0f;--off:#a3adb8;
--offbg:#262d35;--run:#86bdf8;--runbg:#14304f}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:72rem;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:1.6rem;line-height:1.25;margin:0}
h2{font-size:1.15rem;margin:2.5rem 0 .75rem}
h3{font-size:.95rem;margin:1rem 0 .4rem}
p{margin:.4rem 0}a{color:inherit}
.soft{color:var(--soft)}.num{text-align:right;font-variant-numeric:tabular-nums}
code,pre{font:13px/1.45 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
pre{margin:.4rem 0;padding:.7rem .85rem;background:var(--code);border:1px solid var(--line);border-radius:6px;
overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere;tab-size:8}
header{border-left:6px solid var(--off);padding:.35rem 0 .35rem 1.1rem}
header.ok{border-color:var(--ok)}header.bad{border-color:var(--bad)}header.warn{border-color:var(--warn)}
header.run{border-color:var(--run)}
header .why{font-size:1.05rem;overflow-wrap:anywhere}
header pre{font-size:14px}
.panel{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:1rem 1.15rem;margin:.75rem 0}
.ok .g,.g.ok{color:var(--ok)}.bad .g,.g.bad{color:var(--bad)}.warn .g,.g.warn{color:var(--warn)}
.off .g,.g.off{color:var(--off)}.run .g,.g.run{color:var(--run)}
.g{font-weight:700;font-style:normal}
.counts{display:flex;flex-wrap:wrap;gap:.5rem;list-style:none;margin:1rem 0 0;padding:0}
.counts li{padding:.3rem .8rem;border-radius:6px;background:var(--offbg)}
.counts b{font-size:1.15rem;font-variant-numeric:tabular-nums}
.counts .ok{background:var(--okbg)}.counts .bad{background:var(--badbg)}.counts .warn{background:var(--warnbg)}
.counts .run{background:var(--runbg)}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.3rem .9rem .3rem 0;border-bottom:1px solid var(--line);
overflow-wrap:anywhere}
tr:last-child>*{border-bottom:0}
thead th{color:var(--soft);font-weight:600}
tbody th{font-weight:600;white-space:nowrap}
.facts th{width:11rem;color:var(--soft)}
th.num,td.num{padding-left:.5rem}
.batch{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 1rem;align-items:baseline}
.batch h3{margin-bottom:.2rem}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr));gap:4px;list-style:none;margin:0 0 .6rem;
padding:0}
.grid li{border-radius:4px;padding:.12rem .5rem;background:var(--offbg);font-size:.8rem;white-space:nowrap;
overflow:hidden;text-overflow:ellipsis}
.grid .ok{background:var(--okbg)}.grid .bad{background:var(--badbg)}.grid .warn{background:var(--warnbg)}
.grid .run{background:var(--runbg)}
.grid a{text-decoration:none}.grid a:hover,.grid a:focus{text-decoration:underline}
.gate{margin:.1rem 0 .9rem;padding:.2rem .7rem;border-left:4px solid var(--ok);background:var(--okbg);font-size:.88rem;
overflow-wrap:anywhere}
.gate.bad{border-color:var(--bad);background:var(--badbg)}
svg{display:block;width:100%;height:auto}
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}svg .soft{fill:var(--soft)}
svg .axis{stroke:var(--line);stroke-width:1}svg .gap{stroke:var(--soft);stroke-dasharray:2 3}
svg .ok{fill:var(--ok)}svg .bad{fill:var(--bad)}svg .warn{fill:var(--warn)}svg .off{fill:var(--off)}
svg .run{fill:var(--run)}svg .rest{fill:none;stroke:var(--soft);stroke-dasharray:3 2}
svg .mark{stroke:var(--ink);stroke-width:1.2}
details{border-bottom:1px solid var(--line)}
summary{cursor:pointer;padding:.35rem .2rem;overflow-wrap:anywhere}
summary:focus-visible,a:focus-visible{outline:2px solid var(--run);outline-offset:1px}
details[open]{padding-bottom:.6rem}
.say{color:var(--soft);font-size:.9rem;overflow-wrap:anywhere}
.add{color:var(--ok)}.del{color:var(--bad)}
footer{margin-top:3rem;color:var(--soft);font-size:.85rem;border-top:1px solid var(--line);padding-top:.75rem}
.hide{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
:target{outline:2px solid var(--run);outline-offset:2px}
@media print{:root{color-scheme:light;--bg:#fff;--panel:#fff;--ink:#000;--soft:#444;--line:#bbb;--code:#f6f6f6;
--ok:#176b37;--okbg:#fff;--bad:#b3261e;--badbg:#fff;--warn:#8a5300;--warnbg:#fff;--off:#444;--offbg:#fff;--run:#0b5cad;
--runbg:#fff}
html{font-size:12px}body{font-size:11px}code,pre,header pre{font-size:10px}main{max-width:none;padding:0}
.grid li,.counts li{border:1px solid var(--line)}.panel{-webkit-box-decoration-break:clone;box-decoration-break:clone}
summary{list-style:none}summary::-webkit-details-marker{display:none}.panel details:not([open]){display:none}
h2,h3,summary,.batch,.panel>p:not(.gate){break-after:avoid}tr,.gate,svg,.grid li{break-inside:avoid}
.gate{break-before:avoid}pre{break-inside:avoid}}
@page{margin:14mm 12mm;@bottom-right{content:counter(page) " / " counter(pages);font:8pt system-ui,sans-serif;color:#444}}
"""

_DIGEST = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"
"""The content security policy: this one style sheet, and nothing else, from anywhere."""
