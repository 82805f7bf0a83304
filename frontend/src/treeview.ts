// The tree beside the map: zoomed by its rows, selected by clade, painted like the map; and, when
// wanted, the tree of looks facing it.

import type { Colouring } from "./colouring";
import { css } from "./colour";
import { announce, eachFrame, h, onPress, plural, readable, s } from "./dom";
import type { ExhibitData } from "./exhibit";
import { csvOf, standalone, type Exports } from "./export";
import type { State, Store } from "./state";
import type { TreeShape } from "./treeshape";
import type { TreePlace } from "./types";

const MOST_ROW = 58;
const LABELS_FROM = 9;
const PICTURES_FROM = 22;
const PAD = 14;
/** The tools stand at the right edge. */
const TOOLS = 34;
/** Share of the width that each of two facing trees takes. */
const FACING = 0.23;

export class TreeView {
  readonly element: HTMLElement;
  private readonly scroller = h("div", {
    class: "scroller",
    tabindex: "0",
    role: "application",
    "aria-label": "Tree. Up and down go from tip to tip, left to the clade, right into it, Enter selects, plus and minus zoom, Escape clears.",
  });
  private readonly svg = s("svg", { class: "tree" });
  private readonly tangleButton: HTMLButtonElement | null;
  private rowHeight = 0;
  private cursor: number | null = null;
  private hover: number | null = null;
  private colouring: Colouring | null = null;
  private place: TreePlace | null = null;
  private readonly pictures = new Map<string, string>();
  readonly draw = eachFrame(() => this.drawNow());

  constructor(
    private readonly exhibit: ExhibitData,
    private readonly tree: TreeShape,
    private readonly store: Store,
  ) {
    const tool = (label: string, title: string, action: () => void) =>
      h("button", { type: "button", title, "aria-label": title, onclick: action }, label);
    this.tangleButton = exhibit.looks ? tool("⋈", "Tree of looks beside it", () => store.update({ tangle: !store.state.tangle })) : null;
    this.scroller.append(this.svg);
    this.element = h(
      "section",
      { class: "phylogeny pane", "aria-label": "Tree" },
      this.scroller,
      h(
        "div",
        { class: "tools", role: "toolbar", "aria-label": "Tree tools" },
        this.tangleButton,
        tool("+", "Larger rows (+)", () => this.zoom(1.4)),
        tool("−", "Smaller rows (−)", () => this.zoom(1 / 1.4)),
        tool("⤢", "Whole tree (0)", () => this.zoom(0)),
      ),
    );
    this.scroller.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.element);
    this.listen();
  }

  update(state: State, changed: Set<keyof State>): void {
    if (changed.has("species") && state.species.length) this.reveal(state.species);
    this.draw();
  }

  paint(colouring: Colouring): void {
    this.colouring = colouring;
    this.draw();
  }

  /** Shows where a new picture hangs. */
  mark(place: TreePlace | null): void {
    this.place = place;
    if (place) this.reveal(place.tips);
    this.draw();
  }

  private reveal(names: string[]): void {
    const node = this.tree.cladeOf(names);
    if (node === undefined) return;
    const row = this.effectiveRow;
    const [top, bottom] = [this.tree.firstTip[node] * row, (this.tree.lastTip[node] + 1) * row];
    const { scrollTop, clientHeight } = this.scroller;
    if (top < scrollTop || bottom > scrollTop + clientHeight) {
      this.scroller.scrollTop = Math.max(0, Math.min(top - 20, (top + bottom - clientHeight) / 2));
    }
  }

  // Geometry ----------------------------------------------------------------------------------

  /** Height of a row: as large as fits, until somebody zooms. */
  private get effectiveRow(): number {
    const fit = (this.scroller.clientHeight - 2 * PAD) / this.tree.tips.length;
    return this.rowHeight > 0 ? this.rowHeight : Math.min(Math.max(fit, 1.2), MOST_ROW);
  }

  private zoom(factor: number): void {
    const before = this.effectiveRow;
    const middle = (this.scroller.scrollTop + this.scroller.clientHeight / 2) / before;
    this.rowHeight = factor === 0 ? 0 : Math.min(Math.max(before * factor, 1.2), MOST_ROW * 1.5);
    this.drawNow();
    this.scroller.scrollTop = middle * this.effectiveRow - this.scroller.clientHeight / 2;
    this.draw();
  }

  private get isTangled(): boolean {
    return this.store.state.tangle && this.exhibit.looks !== null;
  }

  /** Width of the branches, and where labels begin. */
  private get branchWidth(): number {
    const width = this.scroller.clientWidth;
    if (this.isTangled) return width * FACING;
    const row = this.effectiveRow;
    return width - 2 * PAD - (row >= LABELS_FROM ? Math.min(230, width * 0.5) : 24 + TOOLS) - (row >= PICTURES_FROM ? row + 8 : 0);
  }

  private x(tree: TreeShape, node: number): number {
    return PAD + (tree.depth[node] / tree.height) * this.branchWidth;
  }

  private y(tree: TreeShape, node: number): number {
    return PAD + (tree.row[node] + 0.5) * this.effectiveRow;
  }

  // Drawing -----------------------------------------------------------------------------------

  private drawNow(): void {
    const { tree, svg, scroller } = this;
    const row = this.effectiveRow;
    const [width, height] = [scroller.clientWidth, Math.max(tree.tips.length * row + 2 * PAD, scroller.clientHeight)];
    if (width < 10) return;
    svg.setAttribute("width", String(width));
    svg.setAttribute("height", String(height));
    const first = Math.max(0, Math.floor((scroller.scrollTop - PAD) / row) - 2);
    const last = Math.min(tree.tips.length - 1, Math.ceil((scroller.scrollTop + scroller.clientHeight) / row) + 2);
    const selected = new Set(this.store.state.species);
    const clade = selected.size ? tree.cladeOf([...selected]) : undefined;
    const parts: SVGElement[] = [s("path", { class: "branch", d: this.branches(tree, 0) })];
    if (clade !== undefined && tree.lastTip[clade] - tree.firstTip[clade] + 1 === selected.size) {
      parts.push(s("path", { class: "branch chosen", d: this.branches(tree, clade) }));
    }
    const lit = this.hover ?? this.cursor;
    if (lit !== null) parts.push(s("path", { class: "branch lit", d: this.branches(tree, lit) }));
    for (let i = first; i <= last; i++) parts.push(...this.tipParts(i, row, selected));
    if (this.isTangled) parts.push(...this.facing(width, selected));
    else parts.push(...this.placeParts());
    if (!this.isTangled) parts.push(...this.scaleBar(scroller.scrollTop + scroller.clientHeight - 12));
    svg.replaceChildren(...parts);
    this.tangleButton?.setAttribute("aria-pressed", String(this.isTangled));
    this.element.dataset.ready = "true";
  }

  private branches(tree: TreeShape, top: number, x = (node: number) => this.x(tree, node), y = (node: number) => this.y(tree, node)): string {
    let path = "";
    for (let node = top; node < tree.stop[top]; node++) {
      const from = node === 0 ? x(0) - 6 : x(tree.parent[node]);
      path += `M${from.toFixed(1)} ${y(node).toFixed(1)}H${x(node).toFixed(1)}`;
      const below = tree.children[node];
      if (below.length) path += `M${x(node).toFixed(1)} ${y(below[0]).toFixed(1)}V${y(below[below.length - 1]).toFixed(1)}`;
    }
    return path;
  }

  private tipParts(place: number, row: number, selected: Set<string>): SVGElement[] {
    const { tree } = this;
    const node = tree.tips[place];
    const name = tree.names[node];
    const [x, y] = [this.x(tree, node), this.y(tree, node)];
    const isOut = selected.size > 0 && !selected.has(name);
    const parts: SVGElement[] = [];
    const value = this.colouring?.tip(name);
    if (value !== undefined) {
      const size = Math.min(row * 0.8, 9);
      parts.push(s("rect", { x: x + 4, y: y - size / 2, width: size, height: size, rx: size / 4, fill: css(this.colouring!.scale.colourOf(value)), opacity: isOut ? 0.25 : 1 }));
    }
    let at = x + 17;
    const shown = this.exhibit.treeInfo.pictures?.[name];
    if (row >= PICTURES_FROM && shown !== undefined && !this.isTangled) {
      const size = row - 3;
      const address = this.pictureOf(name, shown);
      if (address) parts.push(s("image", { href: address, x: at, y: y - size / 2, width: size, height: size, opacity: isOut ? 0.3 : 1 }));
      at += size + 5;
    }
    if (row >= LABELS_FROM) {
      const count = this.exhibit.treeInfo.counts?.[name];
      const text = s("text", { class: `taxon${isOut ? " out" : ""}${selected.has(name) ? " chosen" : ""}`, x: at, y: y + 4, "font-size": Math.min(13.5, row * 0.9) }, readable(name));
      if (count !== undefined && !this.isTangled && row >= 14) text.append(s("tspan", { class: "count", dx: 6 }, String(count)));
      parts.push(text);
    }
    return parts;
  }

  private pictureOf(name: string, row: number): string | undefined {
    const known = this.pictures.get(name);
    if (known === undefined) {
      this.pictures.set(name, "");
      void this.exhibit.pictures?.picture(row, "small").then((address) => {
        this.pictures.set(name, address);
        this.draw();
      }, () => undefined);
    }
    return known || undefined;
  }

  /** The tree of looks, mirrored, and a line from each species to itself. */
  private facing(width: number, selected: Set<string>): SVGElement[] {
    const { tree } = this;
    const looks = this.exhibit.looks!;
    const stretch = (tree.tips.length - 1) / Math.max(looks.tips.length - 1, 1);
    const edge = width - PAD - TOOLS;
    const x = (node: number) => edge - (looks.depth[node] / looks.height) * width * FACING;
    const y = (node: number) => PAD + (looks.row[node] * stretch + 0.5) * this.effectiveRow;
    const parts: SVGElement[] = [];
    const longest = Math.max(...tree.tipNames.map((name) => name.length));
    const size = Math.min(13.5, this.effectiveRow * 0.9);
    const labels = this.effectiveRow >= LABELS_FROM ? Math.min(longest * size * 0.54 + 8, width * 0.34) : 10;
    for (const tip of looks.tips) {
      const name = looks.names[tip];
      const here = tree.nodeOf(name);
      if (here === undefined) continue;
      const [x1, y1, x2, y2] = [this.x(tree, here) + labels + 14, this.y(tree, here), x(tip) - 5, y(tip)];
      const middle = (x1 + x2) / 2;
      const value = this.colouring?.tip(name);
      const colour = value === undefined ? undefined : css(this.colouring!.scale.colourOf(value));
      const isOut = selected.size > 0 && !selected.has(name);
      parts.push(s("path", { class: `tie${isOut ? " out" : ""}`, d: `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`, style: colour ? { stroke: colour } : {} }));
    }
    parts.push(s("path", { class: "branch", d: this.branches(looks, 0, x, y) }));
    parts.push(s("text", { class: "caption", x: PAD, y: this.scroller.scrollTop + this.scroller.clientHeight - 8 }, "tree"));
    parts.push(s("text", { class: "caption", x: edge, y: this.scroller.scrollTop + this.scroller.clientHeight - 8, "text-anchor": "end" }, "looks (average linkage, cosine)"));
    return parts;
  }

  private placeParts(): SVGElement[] {
    const { place, tree } = this;
    const node = place ? tree.cladeOf(place.tips) : undefined;
    if (!place || node === undefined) return [];
    const unit = this.branchWidth / tree.height;
    const [x, y] = [this.x(tree, node) - Math.min(place.above, tree.length[node]) * unit, this.y(tree, node)];
    const end = Math.min(x + place.twig * unit, PAD + this.branchWidth + 2);
    const down = Math.min(this.effectiveRow * 0.42, 12);
    return [
      s("path", { class: "newcomer", d: `M${x} ${y}V${y + down}H${end}` }),
      s("circle", { class: "newcomer-dot", cx: x, cy: y, r: 4.5 }),
      s("text", { class: "newcomer-label", x: Math.min(x + 8, this.scroller.clientWidth - 90), y: y + down + 13 }, "your picture"),
    ];
  }

  private scaleBar(y: number): SVGElement[] {
    const { tree } = this;
    if (!tree.hasLengths) return [];
    const wanted = tree.height / 4;
    const power = 10 ** Math.floor(Math.log10(wanted));
    const length = [5, 2, 1].map((x) => x * power).find((x) => x <= wanted) ?? power;
    const width = (length / tree.height) * this.branchWidth;
    return [
      s("path", { class: "scale", d: `M${PAD} ${y}h${width}` }),
      s("text", { class: "caption", x: PAD + width + 6, y: y + 4 }, String(Number(length.toPrecision(2)))),
    ];
  }

  // Pointing and keys -------------------------------------------------------------------------

  private listen(): void {
    const { scroller } = this;
    const at = (event: MouseEvent): number | null => {
      const box = this.svg.getBoundingClientRect();
      return this.nodeAt(event.clientX - box.left, event.clientY - box.top);
    };
    scroller.addEventListener("mousemove", (event) => {
      const node = at(event);
      if (node === this.hover) return;
      this.hover = node;
      this.draw();
    });
    scroller.addEventListener("mouseleave", () => {
      this.hover = null;
      this.draw();
    });
    onPress(this.svg, (event) => this.choose(at(event)));
    scroller.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * 0.004));
    }, { passive: false });
    scroller.addEventListener("keydown", (event) => this.onKey(event));
  }

  /** The branch under a point: the tip of its row, or the ancestor whose branch lies there. */
  private nodeAt(px: number, py: number): number | null {
    const { tree } = this;
    if (this.isTangled && px > this.scroller.clientWidth * 0.62) return null;
    const place = Math.round((py - PAD) / this.effectiveRow - 0.5);
    if (place < 0 || place >= tree.tips.length) return null;
    let node = tree.tips[place];
    while (node > 0 && this.x(tree, tree.parent[node]) > px) node = tree.parent[node];
    return node;
  }

  private choose(node: number | null): void {
    if (node === null) return;
    const names = this.tree.tipsBelow(node);
    const now = this.store.state.species;
    const isSame = now.length === names.length && now.every((name, i) => name === names[i]);
    this.store.update({ species: isSame || node === 0 ? [] : names, thing: null, lasso: [] });
    announce(isSame ? "Nothing selected." : this.words(node));
  }

  private words(node: number): string {
    const names = this.tree.tipsBelow(node);
    if (names.length === 1) return readable(names[0]);
    return `Clade of ${plural(names.length, "species", "species")}, ${readable(names[0])} to ${readable(names[names.length - 1])}`;
  }

  private onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { tree } = this;
    const now = this.cursor ?? tree.tips[0];
    const step = (by: number) => {
      if (this.cursor === null) return tree.tips[0];
      const place = (by > 0 ? tree.lastTip[now] : tree.firstTip[now]) + by;
      return tree.tips[Math.min(Math.max(place, 0), tree.tips.length - 1)];
    };
    const moves: Record<string, () => number> = {
      ArrowDown: () => step(1),
      ArrowUp: () => step(-1),
      ArrowLeft: () => (this.cursor === null ? now : Math.max(tree.parent[now], 0)),
      ArrowRight: () => tree.children[now][0] ?? now,
    };
    if (moves[event.key]) {
      event.preventDefault();
      this.cursor = moves[event.key]();
      this.reveal(tree.tipsBelow(this.cursor));
      announce(this.words(this.cursor));
      this.draw();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.choose(this.cursor);
    } else if (event.key === "+" || event.key === "=") this.zoom(1.4);
    else if (event.key === "-") this.zoom(1 / 1.4);
    else if (event.key === "0") this.zoom(0);
  }

  // Taking it home ----------------------------------------------------------------------------

  get exports(): Exports {
    const { tree } = this;
    return {
      name: "tree",
      svg: () => standalone(this.svg, getComputedStyle(this.element).getPropertyValue("--paper").trim()),
      csv: () =>
        csvOf(
          ["species", "depth", "pictures", this.colouring?.scale.title ?? "value"],
          tree.tips.map((tip) => {
            const name = tree.names[tip];
            return [name, tree.depth[tip], this.exhibit.treeInfo.counts?.[name] ?? 0, this.colouring?.tip(name) ?? null];
          }),
        ),
    };
  }
}
