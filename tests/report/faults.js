// What keeps a page from being read by everyone: a few rules of WCAG 2.2 that matter here, one line for each fault.
(() => {
  const faults = [];
  const told = (rule, element) => faults.push(`${rule}: ${element.outerHTML.slice(0, 120)}`);
  const seen = (e) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
  const name = (e) => (e.getAttribute("aria-label") || e.textContent || e.title || "").trim() || [...(e.labels ?? [])].map((l) => l.textContent.trim()).join("");
  if (!document.documentElement.lang || !document.title) told("language or title", document.documentElement.cloneNode());
  // 1.3.1: headings go down one step at a time, and there is one at the top.
  let before = 0;
  for (const h of [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(seen)) {
    const level = Number(h.tagName[1]);
    if (level > before + 1 || (level === 1 && before > 0) || !h.textContent.trim()) told("heading", h);
    before = level;
  }
  if (before === 0) told("no heading", document.body.cloneNode());
  // 1.1.1: pictures have words.
  for (const e of document.querySelectorAll("img:not([alt])")) told("picture without words", e);
  for (const e of document.querySelectorAll("svg")) if (e.getAttribute("aria-hidden") !== "true" && !e.closest("[aria-hidden=true]") && !e.closest("svg svg") && !e.getAttribute("aria-label")) told("drawing without words", e);
  // 4.1.2: whatever can be pressed has a name, and does not swallow the words of a picture.
  for (const e of document.querySelectorAll("button, input, select, a[href], summary, [role=application]")) {
    if (!name(e)) told("control without a name", e);
    if (e.matches("button") && e.querySelector("[role=img]")) told("picture inside a button", e);
  }
  // 1.3.1: tables say what their columns are.
  for (const t of document.querySelectorAll("table")) {
    if (!t.caption) told("table without a caption", t);
    for (const cell of t.querySelectorAll("th")) if (!cell.scope) told("heading cell without a scope", cell);
  }
  // 2.1.1: what scrolls can be reached.
  for (const e of document.querySelectorAll("*")) if (seen(e) && e.scrollWidth > e.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(e).overflowX) && e !== document.scrollingElement && e.tabIndex < 0) told("out of reach of keys", e);
  // 1.4.3: text stands out from its ground. Letters over a picture carry a rim of their own and are left out.
  const colour = (text) => { const n = text.match(/[\d.]+/g).map(Number); const scale = text.startsWith("color(") ? 255 : 1; return [n[0] * scale, n[1] * scale, n[2] * scale, n[3] ?? 1]; };
  const over = (top, under) => [0, 1, 2].map((c) => top[c] * top[3] + under[c] * (1 - top[3])).concat(1);
  const light = ([r, g, b]) => { const [x, y, z] = [r, g, b].map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * x + 0.7152 * y + 0.0722 * z; };
  const ground = (e) => { const layers = []; for (let p = e; p; p = p.parentElement) { layers.push(colour(getComputedStyle(p).backgroundColor)); if (layers.at(-1)[3] === 1) break; } return layers.reduceRight((under, top) => over(top, under), matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0, 1] : [255, 255, 255, 1]); };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), done = new Set();
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || done.has(e) || e.closest("svg, script, style, noscript, .scene, dialog") || !seen(e)) continue;
    done.add(e);
    const style = getComputedStyle(e), size = parseFloat(style.fontSize), under = ground(e), ink = over(colour(style.color), under);
    const [a, b] = [light(ink), light(under)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    if (ratio < least) told(`contrast ${ratio.toFixed(2)}`, e);
  }
  return faults;
})()
