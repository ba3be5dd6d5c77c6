export const pageStyle = `
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5c6675;--line:#dde2e8;--paper:#fff;--wash:#f4f6f8;--good:#2f7d4f;--bad:#c0392b;--warn:#b7791f;--none:#8a94a3;--track:#e6eaef}
@media (prefers-color-scheme:dark){:root{--ink:#e7ebf0;--soft:#9aa5b4;--line:#2c3440;--paper:#12171e;--wash:#1a212a;--good:#4caf78;--bad:#e8695a;--warn:#dba64a;--none:#77818f;--track:#29313c}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1640px;margin:0 auto;padding:28px 24px 64px}h1{font-size:26px;margin:0 0 16px}h2{font-size:16px;margin:34px 0 8px}
.tiles{display:flex;flex-wrap:wrap;gap:10px}.tile{min-width:120px;padding:10px 14px;border:1px solid var(--line);border-left:4px solid currentColor;border-radius:6px;background:var(--wash)}
.tile b{display:block;font-size:24px;line-height:1.1}.tile span{color:var(--soft)}
.tile.good{color:var(--good)}.tile.bad{color:var(--bad)}.tile.warn{color:var(--warn)}.tile.none{color:var(--none)}
dl{display:grid;gap:3px;margin:18px 0 8px}dl div{display:grid;grid-template-columns:130px 1fr}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.legend{color:var(--soft);max-width:100ch;margin:10px 0 0}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;min-width:1400px;table-layout:fixed;font-variant-numeric:tabular-nums}
th{text-align:left;font-weight:600;color:var(--soft);font-size:12px;padding:4px 10px;border-bottom:1px solid var(--line);white-space:nowrap}
td{padding:6px 10px;vertical-align:top;white-space:nowrap}tr.first td{border-top:1px solid var(--line)}.n{text-align:right}
.name{overflow:hidden;text-overflow:ellipsis}.name b{display:block}.name small,.missing small{color:var(--soft)}.cpu{font-size:12px;color:var(--soft)}
.notes{white-space:normal;overflow-wrap:anywhere;font-size:12px;color:var(--soft)}.notes span{display:block}
.badge{display:inline-block;padding:1px 8px;border-radius:10px;font-size:12px;border:1px solid currentColor;white-space:nowrap}
.badge.good{color:var(--good)}.badge.bad{color:var(--bad);font-weight:600}.badge.warn{color:var(--warn)}.badge.none{color:var(--none);border-style:dashed}
.chart .track{fill:var(--track)}.chart .good{fill:var(--good)}.chart .bad{fill:var(--bad)}
.chart .limit{stroke:var(--ink);stroke-width:1.5}.chart .p50,.chart .p99{stroke:var(--ink);stroke-opacity:.55;stroke-width:1.5}
.spark polyline{fill:none;stroke:var(--soft);stroke-width:1.5}.spark circle{fill:var(--ink)}.spark .limit{stroke:var(--bad);stroke-dasharray:3 3;stroke-opacity:.7}
.missing{list-style:none;margin:8px 0 0;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(430px,1fr));gap:2px 24px}
.missing li{display:grid;grid-template-columns:1fr auto auto;gap:10px;align-items:center;padding:4px 0;border-bottom:1px dotted var(--line);color:var(--soft)}
`;
