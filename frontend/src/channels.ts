// Pictures whose channels are separate files: each switched on and off, in its own colour.

import { h } from "./dom";
import type { ChartData } from "./exhibit";

/** Switches for the channels; what is on is drawn in place of `image`. */
export function channelMixer(chart: ChartData, row: number, image: HTMLImageElement): HTMLElement {
  const canvas = h("canvas", { class: "large", role: "img", "aria-label": "Chosen channels" });
  const layers = chart.info.channels.map(() => null as HTMLImageElement | null);
  const isOn = chart.info.channels.map(() => true);

  const draw = () => {
    const ready = layers.filter((layer) => layer !== null);
    if (!ready.length) return;
    [canvas.width, canvas.height] = [ready[0].naturalWidth, ready[0].naturalHeight];
    const context = canvas.getContext("2d")!;
    context.fillStyle = "black";
    context.fillRect(0, 0, canvas.width, canvas.height);
    layers.forEach((layer, i) => {
      if (!layer || !isOn[i]) return;
      // Grey times the channel's colour, then added to what is there.
      const part = h("canvas", { width: canvas.width, height: canvas.height });
      const brush = part.getContext("2d")!;
      brush.drawImage(layer, 0, 0);
      brush.globalCompositeOperation = "multiply";
      brush.fillStyle = `rgb(${chart.info.channels[i].tint.map((x) => Math.round(255 * x)).join(",")})`;
      brush.fillRect(0, 0, canvas.width, canvas.height);
      context.globalCompositeOperation = "lighter";
      context.drawImage(part, 0, 0);
    });
    context.globalCompositeOperation = "source-over";
    if (image.isConnected) image.replaceWith(canvas);
  };

  return h(
    "div",
    { class: "channels", role: "group", "aria-label": "Channels" },
    chart.info.channels.map(({ name, tint }, i) => {
      void chart.source.image(`chart/${chart.number}/channel/${i}/${row}.jpg`).then((address) => {
        const layer = new Image();
        layer.onload = () => {
          layers[i] = layer;
          draw();
        };
        layer.src = address;
      }, () => undefined);
      const box = h("input", { type: "checkbox", checked: true });
      box.addEventListener("change", () => {
        isOn[i] = box.checked;
        draw();
      });
      return h("label", {}, box, h("i", { style: { background: `rgb(${tint.map((x) => Math.round(255 * x)).join(",")})` } }), name);
    }),
  );
}
