// Views as files: SVG, PNG and CSV, made in the browser.

import { h } from "./dom";
import type { Value } from "./types";

export interface Exports {
  name: string;
  svg?: () => Promise<string> | string;
  png?: () => Promise<Blob> | Blob;
  csv?: () => Promise<string> | string;
}

export async function save(exports: Exports, kind: "svg" | "png" | "csv"): Promise<void> {
  let content: Blob;
  if (kind === "csv") content = new Blob([await exports.csv!()], { type: "text/csv" });
  else if (kind === "svg") content = new Blob([await exports.svg!()], { type: "image/svg+xml" });
  else content = exports.png ? await exports.png() : await rasterised(await exports.svg!());
  const address = URL.createObjectURL(content);
  const link = h("a", { href: address, download: `kinlens-${exports.name}.${kind}` });
  document.body.append(link);
  link.click();
  link.remove();
  window.setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

export function csvOf(header: string[], rows: Iterable<Value[]>): string {
  const cell = (value: Value) => {
    const text = value === null ? "" : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [header.map(cell).join(",")];
  for (const row of rows) lines.push(row.map(cell).join(","));
  return `${lines.join("\n")}\n`;
}

export function blobOf(canvas: HTMLCanvasElement): Promise<Blob> {
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The picture could not be made."))), "image/png"),
  );
}

/** An SVG that stands alone: styles that the page gives are written into it. */
export function standalone(svg: SVGSVGElement, paper: string): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const [width, height] = [svg.clientWidth || Number(svg.getAttribute("width")), svg.clientHeight || Number(svg.getAttribute("height"))];
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  if (!copy.getAttribute("viewBox")) copy.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const originals = svg.querySelectorAll<SVGElement>("*");
  copy.querySelectorAll<SVGElement>("*").forEach((element, i) => {
    const style = getComputedStyle(originals[i]);
    for (const name of ["fill", "stroke", "stroke-width", "stroke-linecap", "stroke-dasharray", "opacity", "font-size", "font-style", "font-weight", "font-family", "text-anchor"]) {
      const value = style.getPropertyValue(name);
      if (value) element.setAttribute(name, value);
    }
    element.removeAttribute("class");
  });
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  ground.setAttribute("width", "100%");
  ground.setAttribute("height", "100%");
  ground.setAttribute("fill", paper);
  copy.prepend(ground);
  return new XMLSerializer().serializeToString(copy);
}

async function rasterised(svg: string): Promise<Blob> {
  const picture = new Image();
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await picture.decode();
  const scale = 2;
  const canvas = h("canvas", { width: picture.naturalWidth * scale, height: picture.naturalHeight * scale });
  canvas.getContext("2d")!.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return blobOf(canvas);
}

/** Dots of one colour as one path: small, and quick to draw. */
export function dots(xy: Iterable<[number, number]>): string {
  let path = "";
  for (const [x, y] of xy) path += `M${x.toFixed(1)} ${y.toFixed(1)}h0`;
  return path;
}

export function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
