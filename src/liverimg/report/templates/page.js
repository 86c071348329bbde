"use strict";
(() => {
  // Enlarging a picture: its drawing is copied into a dialog.
  const large = document.getElementById("large");
  document.addEventListener("click", (event) => {
    const picture = event.target.closest(".enlarge button")?.parentElement;
    if (picture && large.showModal) {
      large.lastElementChild.replaceChildren(picture.firstElementChild.cloneNode(true));
      large.lastElementChild.style.setProperty("--aspect", getComputedStyle(picture.parentElement).getPropertyValue("--aspect"));
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

  // A table that is wider than the page can be scrolled by keyboard too.
  const widths = new ResizeObserver((seen) => seen.forEach(({ target }) => {
    const over = target.scrollWidth > target.clientWidth, caption = target.querySelector("caption");
    target.toggleAttribute("tabindex", over);
    target.toggleAttribute("role", over);
    if (over) { target.tabIndex = 0; target.role = "region"; target.ariaLabel = caption ? caption.textContent.trim() : null; } else target.removeAttribute("aria-label");
  }));
  document.querySelectorAll(".scroll").forEach((place) => widths.observe(place));

  const eyes = {
    front: { eye: { x: 0, y: -1.3, z: 0 }, up: { x: 0, y: 0, z: 1 } },
    right: { eye: { x: -1.3, y: 0, z: 0 }, up: { x: 0, y: 0, z: 1 } },
    below: { eye: { x: 0, y: 0, z: -1.3 }, up: { x: 0, y: -1, z: 0 } },
  };
  const places = [...document.querySelectorAll("[data-scene]")];
  if (!places.length) return;
  const ink = () => getComputedStyle(document.body).color;
  const still = () => {
    document.body.classList.add("no-webgl");
    document.querySelectorAll(".no-webgl-note").forEach((note) => { note.hidden = false; });
  };
  // Plotly stands in the page packed; the policy knows what comes out by its hash.
  let unpacked = null;
  const plotly = () => unpacked ??= (async () => {
    const packed = document.getElementById("plotly-packed");
    if (!packed) return window.Plotly;
    const bytes = Uint8Array.from(atob(packed.textContent.trim()), (sign) => sign.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
    return window.Plotly;
  })();
  const probe = document.createElement("canvas");
  if (!(probe.getContext("webgl2") || probe.getContext("webgl"))) { still(); return; }
  const draw = async (place) => {
    const library = await plotly();
    const figure = JSON.parse(document.getElementById(place.dataset.scene).textContent);
    figure.layout.font = { color: ink(), family: getComputedStyle(document.body).fontFamily, size: 13 };
    await library.newPlot(place, figure.data, figure.layout, { displayModeBar: false, displaylogo: false, responsive: true, scrollZoom: true });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => library.relayout(place, { "font.color": ink() }));
    for (const button of place.closest(".live").querySelectorAll("[data-look]")) {
      button.addEventListener("click", () => {
        const look = button.dataset.eye ? JSON.parse(button.dataset.eye) : eyes[button.dataset.look];
        library.relayout(place, { "scene.camera.eye": look.eye, "scene.camera.up": look.up, "scene.camera.center": { x: 0, y: 0, z: 0 } });
      });
    }
  };
  // Drawn when it comes into sight: browsers keep a few such views alive only.
  const watch = new IntersectionObserver((seen) => {
    for (const entry of seen) {
      if (!entry.isIntersecting) continue;
      watch.unobserve(entry.target);
      draw(entry.target).catch(still);
    }
  }, { rootMargin: "300px" });
  places.forEach((place) => watch.observe(place));
})();
