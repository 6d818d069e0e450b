"use strict";
// Draws each plot from the JSON inside it, in the colours of the style sheet; zooms and hides in all plots at once.
(() => {
  const plots = [...document.querySelectorAll(".plot")].map((place) => ({
    place,
    figure: place.removeChild(place.firstElementChild).textContent,
  }));
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)");
  const hidden = new Set();
  let zoomed = null;
  let following = false;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const coloured = (key, value) => {
    const named = /color$/.test(key) && /^var\((--[a-z0-9-]+)\)$/.exec(value);
    return named ? colour(named[1]) : value;
  };

  function draw() {
    for (const { place, figure } of plots) {
      const { data, layout } = JSON.parse(figure, coloured);
      for (const trace of data) trace.visible = !hidden.has(trace.meta);
      layout.xaxis.range = zoomed ?? layout.xaxis.range;
      const dragmode = touch.matches ? false : "zoom";
      const settings = { displaylogo: false, responsive: true, doubleClick: "reset", modeBarButtons: [["toImage"]] };
      Plotly.react(place, data, { ...layout, dragmode, uirevision: 1 }, settings);
    }
  }

  function follow(source, change) {
    const range = change["xaxis.range"] ?? [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    if (following || range[0] === undefined) return;
    following = true;
    zoomed = range;
    const others = plots.filter(({ place }) => place !== source);
    Promise.all(others.map(({ place }) => Plotly.relayout(place, { "xaxis.range": range }))).finally(
      () => (following = false),
    );
  }

  draw();
  dark.addEventListener("change", draw);
  for (const { place } of plots) place.on("plotly_relayout", (change) => follow(place, change));
  for (const button of document.querySelectorAll(".run")) {
    button.addEventListener("click", () => {
      const run = Number(button.dataset.run);
      if (!hidden.delete(run)) hidden.add(run);
      button.setAttribute("aria-pressed", String(!hidden.has(run)));
      draw();
    });
  }
})();
