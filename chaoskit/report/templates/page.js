"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  let plotly = null;

  // The bundle is text in this page: unpacked on first use, run as a blob, so that nothing is fetched.
  function unpack() {
    if (plotly) return plotly;
    plotly = (async () => {
      if (!("DecompressionStream" in window)) throw new Error("this browser cannot unpack it (no DecompressionStream)");
      const packed = atob(document.getElementById("plotly-packed").textContent);
      const bytes = Uint8Array.from(packed, (c) => c.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      const code = new Blob([await new Response(stream).arrayBuffer()], { type: "text/javascript" });
      const url = URL.createObjectURL(code);
      await new Promise((done, failed) => {
        const script = document.createElement("script");
        script.src = url;
        script.onload = done;
        script.onerror = () => failed(new Error("plotly.js did not start"));
        document.head.append(script);
      });
      URL.revokeObjectURL(url);
      return window.Plotly;
    })();
    return plotly;
  }

  // Colours are written as var(--name) and taken from the reader's scheme at the moment of drawing.
  function coloured(value, style) {
    if (typeof value === "string") {
      const name = /^var\((--[a-z0-9-]+)\)$/.exec(value);
      return name ? style.getPropertyValue(name[1]).trim() : value;
    }
    if (Array.isArray(value)) return value.map((item) => coloured(item, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item, style)]));
    }
    return value;
  }

  function start() {
    const source = document.getElementById("live-data");
    if (!source) return;
    const { figures, config } = JSON.parse(source.textContent);
    const drawn = new Map();

    async function draw(box, figure) {
      if (box.dataset.state === "busy") return;
      box.dataset.state = "busy";
      const plot = box.querySelector(".plot");
      const button = box.querySelector("button");
      if (button) button.textContent = "Loading …";
      try {
        const library = await unpack();
        const { data, layout } = coloured({ data: figure.data, layout: figure.layout }, getComputedStyle(root));
        if (button) button.remove();
        await library.react(plot, data, { ...layout, height: figure.height, autosize: true }, config);
        drawn.set(box, figure);
        box.dataset.state = "live";
      } catch (error) {
        box.dataset.state = "failed";
        if (button) button.textContent = "Could not draw: " + error.message;
      }
    }

    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        seen.unobserve(entry.target);
        draw(entry.target, figures.find((figure) => figure.id === entry.target.id));
      }
    }, { rootMargin: "120px" });
    for (const figure of figures) {
      const box = document.getElementById(figure.id);
      box.querySelector("button").addEventListener("click", () => draw(box, figure));
      seen.observe(box);
    }
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      for (const [box, figure] of drawn) draw(box, figure);
    });
  }

  const opened = [];
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details:not([open])")) {
      part.open = true;
      opened.push(part);
    }
  });
  addEventListener("afterprint", () => {
    for (const part of opened.splice(0)) part.open = false;
  });
  function reveal() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const folded = target && target.closest("details");
    if (folded) folded.open = true;
  }
  addEventListener("hashchange", reveal);
  reveal();
  start();
})();
