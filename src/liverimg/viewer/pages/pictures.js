// NiiVue's door: points in patient space (LPS mm) become its RAS mm here, and nowhere else.
"use strict";
/* global niivue */

export const ras = (lps) => [-lps[0], -lps[1], lps[2]];
export const lps = (mm) => [-mm[0], -mm[1], mm[2]];

// NIfTI's intent for label maps: NiiVue then takes values as names and draws no colour between two of them.
const LABELS = 1002;
const SLICE = { axial: 0, coronal: 1, sagittal: 2 };
const QUARTERS = [
  { sliceType: SLICE.axial, position: [0, 0, 0.5, 0.5] },
  { sliceType: SLICE.coronal, position: [0.5, 0, 0.5, 0.5] },
  { sliceType: SLICE.sagittal, position: [0, 0.5, 0.5, 0.5] },
];
const QUIET = {
  logLevel: "silent", loadingText: "", dragAndDropEnabled: false, clipPlaneHotKey: "", cycleClipPlaneHotKey: "", viewModeHotKey: "",
  backColor: [0, 0, 0, 1], crosshairColor: [1, 1, 1, 0.75], crosshairWidth: 1,
};

const rgb = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

/** Colours of a label map: what is switched off is transparent, and so is every value without a name. */
export function colourTable(layers, shown) {
  const values = [...Array(256).keys()], rows = new Map(layers.map((row) => [row.value, row]));
  const parts = values.map((value) => rgb(rows.get(value)?.colour ?? "#000000"));
  return {
    R: parts.map((p) => p[0]), G: parts.map((p) => p[1]), B: parts.map((p) => p[2]), I: values,
    A: values.map((value) => (value && rows.has(value) && shown(rows.get(value).key) ? 255 : 0)), labels: values.map((value) => rows.get(value)?.title ?? ""),
  };
}

/** A label map without the voxels that have only their own kind around them. */
function edgesOf(values, [, nx, ny, nz]) {
  const edges = values.slice(), slice = nx * ny;
  for (let k = 0, at = 0; k < nz; k++) for (let j = 0; j < ny; j++) for (let i = 0; i < nx; i++, at++) {
    const value = values[at];
    if (value && i && j && k && i < nx - 1 && j < ny - 1 && k < nz - 1 && values[at - 1] === value && values[at + 1] === value
      && values[at - nx] === value && values[at + nx] === value && values[at - slice] === value && values[at + slice] === value) edges[at] = 0;
  }
  return edges;
}

/** Slices: the image, and the labels over it. */
export class Slices {
  constructor(canvas, moved) {
    this.canvas = canvas;
    this.nv = new niivue.Niivue({
      ...QUIET, isRadiologicalConvention: true, sagittalNoseLeft: true, isSliceMM: true, multiplanarShowRender: 0, multiplanarForceRender: false,
      isOrientationTextVisible: true, showAllOrientationMarkers: true, rulerColor: [1, 0.9, 0.2, 1], measureLineColor: [1, 0.9, 0.2, 1], rulerWidth: 2,
      isNearestInterpolation: false, fontColor: [0.85, 0.85, 0.85, 1],
    });
    // The length is told in words, as it was measured; NiiVue would write the one of the line on the screen.
    const line = this.nv.drawMeasurementTool.bind(this.nv);
    this.nv.drawMeasurementTool = (ends) => line(ends, false);
    // A line belongs to the slice that it was measured in, wherever in the slice's thickness the crosshair is.
    this.nv.shouldDrawOnCurrentSlice = () => this.line !== null && this.inSliceOf(this.line);
    this.nv.onLocationChange = (place) => moved(place);
    this.layers = [];
    this.line = null;
    this.outline = false;
  }

  async start() {
    await this.nv.attachToCanvas(this.canvas, false);
  }

  /** Shows one volume with the label maps over it; the crosshair stays where it was in the patient. */
  async show(file, layers) {
    const nv = this.nv;
    const before = nv.volumes.length ? this.where() : null;
    this.layers = layers;
    await nv.loadVolumes([{ url: file, name: file, colormap: "gray" }, ...layers.map((l) => ({ url: l.file, name: l.file, colormap: "gray", opacity: 0 }))]);
    if (before) this.go(before);
  }

  /** Colours, opacity and edges of the label maps. */
  paint(shown, opacity, outline) {
    const nv = this.nv;
    this.outline = outline;
    this.layers.forEach((layer, n) => {
      const volume = nv.volumes[n + 1];
      volume.hdr.intent_code = LABELS;
      volume.setColormapLabel(colourTable(layer.rows, shown));
      volume.opacity = outline && opacity > 0 ? 1 : opacity;
    });
    this.refresh();
  }

  /** Sends everything to the graphics card: of the maps the edges alone where these are wanted; values are read from the whole. */
  refresh() {
    const maps = this.nv.volumes.slice(1), whole = maps.map((map) => map.img);
    if (this.outline) maps.forEach((map) => { map.img = map.edges ??= edgesOf(map.img, map.hdr.dims); });
    this.nv.updateGLVolume();
    maps.forEach((map, n) => { map.img = whole[n]; });
  }

  window(low, high) {
    const volume = this.nv.volumes[0];
    [volume.cal_min, volume.cal_max] = [low, high];
    this.refresh();
  }

  get range() { const v = this.nv.volumes[0]; return [v.cal_min, v.cal_max]; }
  get ownRange() { const v = this.nv.volumes[0]; return [v.robust_min, v.robust_max]; }

  /** Where the crosshair is, LPS mm. */
  where() { return lps(this.nv.frac2mm(this.nv.scene.crosshairPos, 0, true)); }

  /** Moves the crosshair to a place in the patient, LPS mm. */
  go(place) {
    const nv = this.nv;
    nv.scene.crosshairPos = nv.mm2frac(ras(place), 0, true);
    this.place();
    nv.drawScene();
    nv.createOnLocationChange();
  }

  /** One voxel on, in the directions of the patient: right to left, back to front, feet to head. */
  step(x, y, z) {
    this.nv.moveCrosshairInVox(x, y, z);
  }

  /** Draws a measured line where the axial slice shows it. */
  measure(line) {
    this.line = line;
    this.place();
    this.nv.drawScene();
  }

  place() {
    if (!this.line) { this.nv.document.completedMeasurements = []; return; }
    const [start, end] = [this.line.start_lps_mm, this.line.end_lps_mm].map(ras);
    const length = Math.hypot(...start.map((c, n) => c - end[n]));
    this.nv.document.completedMeasurements = [{ startMM: start, endMM: end, distance: length, sliceIndex: 0, sliceType: SLICE.axial, slicePosition: 0 }];
  }

  inSliceOf(line) {
    const nv = this.nv, middle = ras(line.start_lps_mm.map((c, n) => (c + line.end_lps_mm[n]) / 2));
    const axial = nv.screenSlices.some((slice) => slice.axCorSag === SLICE.axial);
    return axial && nv.frac2vox(nv.mm2frac(middle, 0, true))[2] === nv.frac2vox(nv.scene.crosshairPos)[2];
  }

  view(name) {
    if (name === "four") { this.nv.setSliceType(3); this.nv.setCustomLayout(QUARTERS); }
    else if (name in SLICE) { this.nv.clearCustomLayout(); this.nv.setSliceType(SLICE[name]); }
  }
}

/** Surfaces in three dimensions. */
export class Surfaces {
  constructor(canvas) {
    this.canvas = canvas;
    this.nv = new niivue.Niivue({ ...QUIET, show3Dcrosshair: true, isOrientCube: true, meshXRay: 0.06, crosshairWidth: 2, crosshairWidthUnit: "mm", showLegend: false });
    this.rows = [];
  }

  async start() {
    await this.nv.attachToCanvas(this.canvas, false);
    this.nv.setSliceType(this.nv.sliceTypeRender);
    this.nv.setRenderAzimuthElevation(180, 10);
  }

  async show(rows, shown) {
    // NiiVue draws in this order: what is solid first, so that it shines through what is not.
    this.rows = [...rows].sort((a, b) => b.opacity - a.opacity);
    await this.nv.loadMeshes(this.rows.map((row) => ({
      url: row.file, name: row.file, rgba255: [...rgb(row.colour), 255], opacity: row.opacity, visible: row.shown && shown(row.key),
    })));
  }

  paint(shown) {
    this.nv.meshes.forEach((mesh, n) => { mesh.visible = shown(this.rows[n].key); });
    this.nv.drawScene();
  }

  go(place) {
    if (!this.nv.meshes.length) return;
    this.nv.scene.crosshairPos = this.nv.mm2frac(ras(place));
    this.nv.drawScene();
  }

  turn(azimuth, elevation) {
    this.nv.setRenderAzimuthElevation(this.nv.scene.renderAzimuth + azimuth, this.nv.scene.renderElevation + elevation);
  }
}
