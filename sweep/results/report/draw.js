"use strict";
// Draws each figure next to its data. Figures are resized with their boxes, also for printing.
const boxes = [...document.querySelectorAll(".figure")];
const byTouch = matchMedia("(pointer: coarse)").matches;
const config = {
  responsive: true,
  displaylogo: false,
  displayModeBar: byTouch ? false : undefined,
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
};

function draw(box) {
  const { data, layout } = JSON.parse(box.querySelector("script").textContent);
  if (byTouch) layout.dragmode = false; // a finger scrolls the page
  Plotly.newPlot(box.querySelector(".plot"), data, layout, config);
}

function drawNext() {
  const box = boxes.shift();
  if (!box) return;
  draw(box);
  setTimeout(drawNext);
}

const PAPER_PX = 660; // the width of A4 and Letter between the margins of the style sheet

addEventListener("beforeprint", () => {
  while (boxes.length) draw(boxes.shift());
  for (const plot of document.querySelectorAll(".plot")) {
    const width = plot.closest(".grid") ? (PAPER_PX - 12) / 2 : PAPER_PX;
    Plotly.relayout(plot, { width, autosize: false });
  }
});
addEventListener("afterprint", () => {
  for (const plot of document.querySelectorAll(".plot")) Plotly.relayout(plot, { width: null, autosize: true });
});
drawNext();
