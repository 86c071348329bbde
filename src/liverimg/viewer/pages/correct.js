// Correcting labels: the label map becomes a drawing over the image that it was drawn on, and is sent back when saved.
"use strict";
import { go, isShown, page, repaint, showSeries } from "./viewer.js";
import { colourTable } from "./pictures.js";
/* global niivue */

const at = (id) => document.getElementById(id);
const tell = (text) => { at("correct-note").textContent = text; };
let changed = false;
const painting = () => page.painting !== null;

async function begin() {
  const { scene, slices } = page, nv = slices.nv;
  const reference = scene.series.findIndex((row) => row.reference);
  if (!page.series.reference) await showSeries(reference);
  const image = await niivue.NVImage.loadFromUrl({ url: "labels.nii.gz", name: "labels.nii.gz" });
  if (!nv.loadDrawing(image)) throw new Error(scene.words.correct.only_reference);
  changed = false;
  nv.onDrawingChanged = (what) => { if (what !== "load") changed = true; };
  page.painting = colour;
  pen();
  show();
}

/** The drawing in the labels' colours; every value of the map is kept, and what is painted with is never hidden. */
function colour() {
  const rows = page.scene.layers.filter((l) => l.layer === "labels"), own = Number(at("pen").value);
  const mine = rows.find((row) => row.value === own)?.key;
  page.slices.nv.setDrawOpacity(page.opacity);
  page.slices.nv.setDrawColormap(colourTable(rows, (key) => key === mine || isShown(key)));
}

function pen() {
  const nv = page.slices.nv;
  nv.opts.penSize = Math.max(1, Math.min(25, Number(at("pen-size").value) || 1));
  nv.setDrawingEnabled(painting());
  nv.setPenValue(Number(at("pen").value), at("pen-filled").checked);
  repaint();
}

function end() {
  const nv = page.slices.nv;
  page.painting = null;
  changed = false;
  nv.setDrawingEnabled(false);
  nv.closeDrawing();
  show();
  repaint();
}

function show() {
  at("correct-tools").hidden = !painting();
  at("correct-start").hidden = painting();
  at("series").disabled = painting();
}

/** The map as NIfTI on the grid of the image, as it will be sent. */
export async function drawn() {
  return page.slices.nv.saveImage({ filename: "", isSaveDrawing: true, volumeByIndex: 0 });
}

async function save() {
  const t = page.scene.words.correct;
  const answer = await fetch("labels.nii.gz", { method: "PUT", body: await drawn(), headers: { "Content-Type": "application/octet-stream", "If-Match": `"${page.scene.labels_tag}"` } });
  if (!answer.ok) return tell((await answer.text()).trim());
  const said = await answer.json();
  page.scene.labels_tag = said.tag;
  tell(said.changed ? t.saved.replace("{count}", said.changed) : t.unchanged);
  if (!said.changed) return end();
  const here = page.slices.where();
  end();
  await showSeries(page.scene.series.findIndex((row) => row.reference));
  go(here);
}

export function start() {
  const t = page.scene.words.correct;
  const option = (value, text) => Object.assign(document.createElement("option"), { value, textContent: text });
  for (const row of page.scene.layers.filter((l) => l.layer === "labels")) at("pen").append(option(row.value, row.title));
  at("pen").append(option(0, t.erase));
  const tumour = page.scene.layers.find((l) => l.key === "tumour");
  if (tumour) at("pen").value = tumour.value;
  const acts = { "correct-start": begin, "correct-stop": end, "correct-undo": () => page.slices.nv.drawUndo(), "correct-save": save };
  for (const [id, act] of Object.entries(acts)) at(id).addEventListener("click", async () => { try { tell(""); await act(); } catch (error) { tell(error.message); } });
  for (const id of ["pen", "pen-size", "pen-filled"]) at(id).addEventListener("change", pen);
  addEventListener("beforeunload", (event) => { if (painting() && changed) event.preventDefault(); });
}
