"use strict";
(() => {
  // The line between before and after follows the slider below the picture.
  document.addEventListener("input", (event) => {
    const slider = event.target.closest("input.swipe");
    if (!slider) return;
    const picture = slider.closest("figure").querySelector("svg");
    const box = picture.viewBox.baseVal, x = box.width * slider.value / 100;
    const after = picture.querySelector("svg.half"), line = picture.querySelector(".seam");
    after.setAttribute("x", x);
    after.setAttribute("width", Math.max(box.width - x, 0.001));
    after.setAttribute("viewBox", `${x} 0 ${Math.max(box.width - x, 0.001)} ${box.height}`);
    line.setAttribute("d", `M${x} 0V${box.height}`);
  });
})();
