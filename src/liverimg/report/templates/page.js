"use strict";
(() => {
  // Enlarging a picture: its drawing is copied into a dialog.
  const large = document.getElementById("large");
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.enlarge");
    if (button && large.showModal) {
      large.lastElementChild.replaceChildren(button.firstElementChild.cloneNode(true));
      large.lastElementChild.style.setProperty("--aspect", getComputedStyle(button.parentElement).getPropertyValue("--aspect"));
      large.showModal();
    } else if (event.target === large || event.target.closest("dialog .close")) {
      large.close();
    }
  });

  // What is folded away is found by a link into it, and by whoever prints the page.
  const unfold = (element) => { for (let d = element && element.closest("details"); d; d = d.parentElement.closest("details")) d.open = true; };
  const follow = () => unfold(location.hash.length > 1 && document.getElementById(location.hash.slice(1)));
  addEventListener("hashchange", follow);
  follow();
  addEventListener("beforeprint", () => document.querySelectorAll("details.fold").forEach((d) => { d.open = true; }));

  const place = document.getElementById("scene");
  if (!place) return;
  const eyes = {
    front: { eye: { x: 0, y: -1.3, z: 0 }, up: { x: 0, y: 0, z: 1 } },
    right: { eye: { x: -1.3, y: 0, z: 0 }, up: { x: 0, y: 0, z: 1 } },
    below: { eye: { x: 0, y: 0, z: -1.3 }, up: { x: 0, y: -1, z: 0 } },
  };
  const ink = () => getComputedStyle(document.body).color;
  const still = () => {
    document.body.classList.add("no-webgl");
    document.getElementById("no-webgl").hidden = false;
  };
  const probe = document.createElement("canvas");
  if (!window.Plotly || !(probe.getContext("webgl2") || probe.getContext("webgl"))) { still(); return; }
  const figure = JSON.parse(document.getElementById("scene-data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  figure.layout.font = { color: ink(), family: getComputedStyle(document.body).fontFamily, size: 13 };
  Plotly.newPlot(place, figure.data, figure.layout, { displayModeBar: false, displaylogo: false, responsive: true, scrollZoom: true })
    .catch(still);
  dark.addEventListener("change", () => Plotly.relayout(place, { "font.color": ink() }));
  for (const button of document.querySelectorAll("[data-look]")) {
    button.addEventListener("click", () => {
      const look = eyes[button.dataset.look];
      Plotly.relayout(place, { "scene.camera.eye": look.eye, "scene.camera.up": look.up, "scene.camera.center": { x: 0, y: 0, z: 0 } });
    });
  }
})();
