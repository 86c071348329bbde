// The page about one study. What comes from the study reaches the page as text, never as markup.
"use strict";
import { Slices, Surfaces } from "./pictures.js";

const at = (id) => document.getElementById(id);
const words = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
const make = (kind, given = {}, ...children) => {
  const made = Object.assign(document.createElement(kind), given);
  made.append(...children);
  return made;
};
const told = async (answer) => { if (!answer.ok) throw new Error((await answer.text()).trim()); return answer; };
const json = async (name) => (await told(await fetch(name))).json();

/** What the page knows; correct.js uses it too. */
export const page = { scene: null, slices: null, surfaces: null, series: null, shown: new Set(), opacity: 0.5, outline: false, window: 0, off: false, busy: false, painting: null };

export const isShown = (key) => !page.off && page.shown.has(key);

// ---- how the page was left ----

let timer = 0;
function keepLook() {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    const hidden = page.scene.layers.map((l) => l.key).filter((key) => !page.shown.has(key));
    const body = JSON.stringify({ hidden, opacity: page.opacity, outline: page.outline });
    const answer = await fetch("look.json", { method: "PUT", body, headers: { "Content-Type": "application/json" } }).catch(() => null);
    await answer?.text();
    if (!answer?.ok) at("series-note").textContent = page.scene.words.look.not_kept;
  }, 400);
}

// ---- layers ----

export function repaint() {
  page.slices.paint(isShown, page.painting ? 0 : page.opacity, page.outline);
  page.painting?.();
  page.surfaces?.paint(isShown);
  for (const tick of document.querySelectorAll("[data-key]")) tick.checked = page.shown.has(tick.dataset.key);
  at("opacity").value = page.opacity;
  at("outline").checked = page.outline;
  if (page.series) page.slices.nv.createOnLocationChange();
}

function change(act) {
  act();
  page.off = false;
  repaint();
  keepLook();
}

const swatch = (colour) => {
  const made = make("span", { className: "swatch" });
  made.style.backgroundColor = colour;
  return made;
};

function listLayers() {
  for (const row of page.scene.layers) {
    const tick = make("input", { type: "checkbox" });
    tick.dataset.key = row.key;
    tick.addEventListener("change", () => change(() => (tick.checked ? page.shown.add(row.key) : page.shown.delete(row.key))));
    at(row.layer === "zones" ? "zone-layers" : "layers").append(make("li", {}, make("label", {}, tick, swatch(row.colour), row.title)));
  }
  at("zones").hidden = !page.scene.has_zones;
  const every = (on) => change(() => { page.shown = new Set(on ? page.scene.layers.map((l) => l.key) : []); });
  at("all").addEventListener("click", () => every(true));
  at("none").addEventListener("click", () => every(false));
  at("opacity").addEventListener("input", () => change(() => { page.opacity = Number(at("opacity").value); }));
  at("outline").addEventListener("change", () => change(() => { page.outline = at("outline").checked; }));
}

// ---- places ----

export function go(place, line = null) {
  page.slices.measure(line);
  page.slices.go(place);
}

const middle = (line) => line.start_lps_mm.map((c, n) => (c + line.end_lps_mm[n]) / 2);

function listPlaces() {
  const t = page.scene.words.places;
  if (!page.scene.places.length) at("places").append(make("li", { className: "soft", textContent: t.none }));
  page.scene.places.forEach((place, n) => {
    const buttons = make("div", { className: "buttons" });
    const button = (text, act) => {
      const made = make("button", { type: "button", textContent: text, onclick: act });
      made.setAttribute("aria-label", `${text}: ${place.title}`);
      buttons.append(made);
    };
    button(t.centre, () => go(place.centre_lps_mm, place.diameter));
    if (place.diameter) button(t.diameter, () => go(middle(place.diameter), place.diameter));
    const told = [place.note, place.diameter?.text].filter(Boolean).map((text) => make("p", { textContent: text }));
    const row = make("li", {}, make("h3", {}, swatch(place.colour), place.title), ...told, buttons);
    row.dataset.place = n;
    at("places").append(row);
  });
}

// ---- series and windows ----

function presets() {
  const t = page.scene.words.window;
  const fixed = page.series.unit === "HU" ? page.scene.windows.map((w) => ({ title: w.title, low: w.level - w.width / 2, high: w.level + w.width / 2 })) : [];
  const [low, high] = page.slices.ownRange;
  return [...fixed, { title: t.auto, low, high }];
}

function tellWindow() {
  const [low, high] = page.slices.range;
  at("level").value = Math.round((low + high) / 2);
  at("width").value = Math.round(high - low);
  [...at("windows").children].forEach((button, n) => button.setAttribute("aria-pressed", n === page.window));
}

function setWindow(number) {
  const chosen = presets();
  page.window = number % chosen.length;
  page.slices.window(chosen[page.window].low, chosen[page.window].high);
  tellWindow();
}

function listWindows() {
  at("windows").replaceChildren(...presets().map((preset, n) => make("button", { type: "button", textContent: preset.title, onclick: () => setWindow(n) })));
}

function ownWindow() {
  const level = Number(at("level").value), width = Number(at("width").value);
  if (!Number.isFinite(level) || !(width > 0)) return tellWindow();
  page.window = -1;
  page.slices.window(level - width / 2, level + width / 2);
  tellWindow();
}

/** Shows a series; the labels lie over it where they share its frame of reference. */
export async function showSeries(number) {
  const { scene } = page, row = scene.series[number];
  const maps = [{ file: "labels.nii.gz", rows: scene.layers.filter((l) => l.layer === "labels") }];
  if (scene.has_zones) maps.push({ file: "zones.nii.gz", rows: scene.layers.filter((l) => l.layer === "zones") });
  page.busy = true;
  message(scene.words.page.loading);
  await page.slices.show(row.file, row.labelled ? maps : []);
  const sameKind = page.series?.unit === row.unit && page.window >= 0;
  page.series = row;
  at("series").value = number;
  at("series-note").textContent = row.labelled ? row.description : scene.words.series.unlabelled;
  listWindows();
  setWindow(sameKind ? page.window : 0);
  repaint();
  page.busy = false;
  message("");
}

function listSeries() {
  const t = page.scene.words.series;
  page.scene.series.forEach((row, n) => at("series").append(make("option", { value: n, textContent: row.reference ? `${row.title} (${t.reference})` : row.title })));
  at("series").addEventListener("change", () => showSeries(Number(at("series").value)).catch(failed));
  for (const id of ["level", "width"]) at(id).addEventListener("change", ownWindow);
}

// ---- views, place, keys ----

export function setView(name) {
  at("stage").dataset.view = name;
  for (const button of at("views").children) button.setAttribute("aria-pressed", button.dataset.view === name);
  page.slices.view(name);
  // The canvas of the surfaces changes its size or comes back into sight.
  requestAnimationFrame(() => page.surfaces?.nv.resizeListener());
}

function tellPlace(place) {
  const t = page.scene.words.status;
  const here = page.slices.where();
  page.surfaces?.go(here);
  const [image, ...over] = place.values ?? [];
  if (!image) return;
  const names = over.flatMap((value, n) => {
    const found = page.slices.layers[n]?.rows.find((row) => row.value === Math.round(value.value));
    return found ? [isShown(found.key) ? found.title : `${found.title} (${t.hidden})`] : [];
  });
  const number = Number.isInteger(image.value) ? image.value : Number(image.value).toFixed(2);
  const sides = [["right", "left"], ["anterior", "posterior"], ["inferior", "superior"]];
  const where = here.map((mm, axis) => words(t[sides[axis][mm < 0 ? 0 : 1]], { mm: Math.abs(mm).toFixed(1) })).join(", ");
  at("where").textContent = [
    names.join(", ") || t.unlabelled, page.series.unit ? `${number} ${page.series.unit}` : `${number}`, where,
  ].join(" · ");
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1], PageUp: [0, 0, 1], PageDown: [0, 0, -1] };

/** A step on the screen in the directions of the patient; the patient's right is on the left, and in sagittal slices the front. */
function stepped(view, [right, up, on = 0]) {
  if (view === "coronal") return [right, on, up];
  if (view === "sagittal") return [on, -right, up];
  return [right, up, on];
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, summary")) return;
  const view = at("stage").dataset.view, step = STEPS[event.key], onCanvas = event.target.closest("canvas");
  const letters = { a: () => setView("axial"), c: () => setView("coronal"), s: () => setView("sagittal"), m: () => setView("four"), d: () => setView("render"),
    l: () => { page.off = !page.off; repaint(); }, o: () => change(() => { page.outline = !page.outline; }), w: () => setWindow(page.window + 1),
    "+": () => change(() => { page.opacity = Math.min(1, page.opacity + 0.1); }), "-": () => change(() => { page.opacity = Math.max(0, page.opacity - 0.1); }) };
  if (step && onCanvas?.id === "surfaces") page.surfaces.turn(5 * -step[0], 5 * step[1]);
  else if (step && onCanvas) page.slices.step(...stepped(view, step).map((n, axis) => (axis === 0 ? -n : n)));
  else if (/^[1-9]$/.test(event.key) && page.scene.places[event.key - 1]) go(page.scene.places[event.key - 1].centre_lps_mm, page.scene.places[event.key - 1].diameter);
  else if (letters[event.key]) letters[event.key]();
  else return;
  event.preventDefault();
}

// ---- start ----

function message(text) { at("message").textContent = text; at("message").hidden = !text; }
function failed(error) { message(words(page.scene?.words.page.failed ?? "{reason}", { reason: error.message })); }

async function showSurfaces() {
  const rows = await json("surfaces.json");
  if (!rows.length) return;
  const surfaces = new Surfaces(at("surfaces"));
  await surfaces.start();
  await surfaces.show(rows, isShown);
  page.surfaces = surfaces;
  surfaces.go(page.slices.where());
}

async function start() {
  const scene = page.scene = await json("scene.json");
  const t = scene.words;
  at("study").textContent = `${words(t.page.study, { date: scene.study_date })} · ${scene.kind}`;
  at("notices").append(...scene.notices.map((text) => make("li", { textContent: text })));
  at("notices").hidden = !scene.notices.length;
  if (!document.createElement("canvas").getContext("webgl2")) return message(t.page.no_webgl);
  const hidden = scene.look.hidden;
  page.shown = new Set(scene.layers.filter((l) => (hidden ? !hidden.includes(l.key) : l.shown)).map((l) => l.key));
  [page.opacity, page.outline] = [scene.look.opacity, scene.look.outline];
  listPlaces(); listLayers(); listSeries();
  page.slices = new Slices(at("slices"), tellPlace);
  await page.slices.start();
  for (const button of at("views").children) button.addEventListener("click", () => setView(button.dataset.view));
  // NiiVue has keys of its own, which say something else.
  for (const kind of ["keydown", "keyup"]) for (const id of ["slices", "surfaces"]) at(id).addEventListener(kind, (event) => { event.stopImmediatePropagation(); if (kind === "keydown") onKey(event); }, true);
  addEventListener("keydown", onKey);
  setView("four");
  await showSeries(scene.series.findIndex((row) => row.reference));
  const first = scene.places[0];
  if (first) go(first.centre_lps_mm, first.diameter); else page.slices.go(page.slices.where());
  await showSurfaces();
  if (scene.editable) (await import("./correct.js")).start();
  document.body.dataset.state = "ready";
}

window.viewer = page;
start().catch(failed);
