// The map: points or pictures, to be moved about in, pointed at and drawn around.

import { firstColour, colouringFor, choicesFor, type Colouring } from "./colouring";
import { css, packed } from "./colour";
import { announce, eachFrame, h, plural, readable, shown } from "./dom";
import { blobOf, csvOf, dots, escaped, type Exports } from "./export";
import type { ChartData, ExhibitData } from "./exhibit";
import { openPainter, type Camera, type Painter } from "./painter";
import { isInside, selectedRows, selectionOf, type Selection } from "./selection";
import type { State, Store } from "./state";
import { TileStore, type Tile } from "./tiles";
import type { Value } from "./types";

const THUMB = 58;
/** With more points than this on the screen, pictures would show only a few of them. */
const MOST_FOR_PICTURES = 2500;

export class ChartView {
  readonly element: HTMLElement;
  private readonly canvas: HTMLCanvasElement;
  private readonly over = h("canvas", {
    class: "over",
    tabindex: "0",
    role: "application",
    "aria-label": "Map. Arrow keys move, plus and minus zoom, 0 shows all, Enter picks the point in the middle, N the next one, B selects what is on the screen, Escape clears.",
  });
  private readonly sheet = h("div", { class: "sheet-of-points" });
  private readonly legend = h("div", { class: "legend" });
  private readonly colourSelect = h("select", { id: "colour", "aria-label": "Colour by" });
  private readonly chartSelect = h("select", { id: "chart", "aria-label": "Map of" });
  private readonly status = h("div", { class: "status" });
  private readonly lassoButton: HTMLButtonElement;
  private readonly picturesButton: HTMLButtonElement;
  private readonly painter: Painter;
  private chart!: ChartData;
  private tiles!: TileStore;
  private colouring: Colouring | null = null;
  private highlighted: number | null = null;
  private selection: Selection = { kind: "none" };
  /** 1 for each thing of the selection; null when everything is equal. */
  private selected: Uint8Array | null = null;
  private isSelecting = false;
  private wasDrawn = false;
  private camera: [number, number, number] = [0.5, 0.5, 1];
  private hover: number | null = null;
  private visible: Tile[] = [];
  /** What a key asked for while nothing was drawn. */
  private waiting: (() => void) | null = null;
  private isLassoing = false;
  private line: number[] = [];
  private withPictures = true;
  private readonly images = new Map<string, HTMLImageElement | null>();
  /** Where the picture falls that was asked about. */
  marker: [number, number] | null = null;
  /** Counts the calls of `recolour`, of which only the last may paint. */
  private colourTurn = 0;
  readonly draw = eachFrame(() => this.drawNow());

  constructor(
    private readonly exhibit: ExhibitData,
    private readonly store: Store,
  ) {
    const wish = new URLSearchParams(location.search).get("painter");
    [this.painter, this.canvas] = openPainter(() => h("canvas", { class: "points" }), wish);
    this.canvas.dataset.painter = this.painter.kind;
    const tool = (label: string, title: string, action: () => void) =>
      h("button", { type: "button", title, "aria-label": title, onclick: action }, label);
    this.lassoButton = tool("◌", "Lasso: draw around points (L)", () => this.setLasso(!this.isLassoing));
    this.picturesButton = tool("▦", "Pictures when near (P)", () => this.togglePictures());
    this.picturesButton.setAttribute("aria-pressed", "true");
    this.lassoButton.setAttribute("aria-pressed", "false");
    this.element = h(
      "section",
      { class: "map pane", "aria-label": "Map" },
      h(
        "div",
        { class: "key" },
        h("div", { class: "row" }, this.chartSelect, h("label", { for: "colour" }, "coloured by"), this.colourSelect),
        this.legend,
      ),
      this.sheet,
      h(
        "div",
        { class: "tools", role: "toolbar", "aria-label": "Map tools" },
        this.lassoButton,
        this.picturesButton,
        tool("+", "Nearer (+)", () => this.zoom(1.6)),
        tool("−", "Farther (−)", () => this.zoom(1 / 1.6)),
        tool("⤢", "Show all (0)", () => this.fit()),
      ),
    );
    this.sheet.append(this.canvas, this.over, this.status);
    this.colourSelect.addEventListener("change", () => this.store.update({ colour: this.chosenColour() }));
    this.chartSelect.addEventListener("change", () =>
      this.store.update({ chart: Number(this.chartSelect.value), colour: "", camera: null, thing: null, lasso: [] }),
    );
    this.listen();
    new ResizeObserver(() => this.resize()).observe(this.sheet);
  }

  /** Shows the chart that the state names. */
  async open(state: State): Promise<void> {
    const chart = this.exhibit.charts[state.chart] ?? this.exhibit.charts[0];
    this.chart = chart;
    this.colouring = null;
    this.hover = null;
    this.visible = [];
    this.waiting = null;
    this.tiles = new TileStore(chart, (tile) => this.dress(tile), this.draw);
    this.chartSelect.replaceChildren(
      ...this.exhibit.charts.map((each) =>
        h("option", { value: each.number, selected: each === chart }, `${plural(each.info.n, ...each.nouns)}`),
      ),
    );
    this.chartSelect.disabled = this.exhibit.charts.length < 2;
    this.camera = state.camera ?? [0.5, 0.5, 1];
    this.draw();
    await this.recolour(state);
    if (chart === this.chart) await this.reselect(this.store.state);
  }

  async update(state: State, changed: Set<keyof State>): Promise<void> {
    if (changed.has("chart")) return this.open(state);
    if (changed.has("camera")) {
      this.camera = state.camera ?? [0.5, 0.5, 1];
      this.draw();
    }
    if (changed.has("colour")) await this.recolour(state);
    if (changed.has("thing") || changed.has("species") || changed.has("lasso")) await this.reselect(state);
    if (changed.has("theme")) this.draw();
    return undefined;
  }

  /** Brings a thing into sight. */
  show(row: number): void {
    void this.chart.positions().then((xy) => {
      const [x, y] = [xy[2 * row], xy[2 * row + 1]];
      const [px, py] = this.toPixels(x, y);
      const { clientWidth: w, clientHeight: hgt } = this.over;
      if (px < 40 || py < 40 || px > w - 40 || py > hgt - 40) this.move([x, y, this.camera[2]]);
    });
  }

  async recolour(state: State): Promise<void> {
    const { chart } = this;
    const turn = ++this.colourTurn;
    const colour = state.colour || firstColour(chart);
    this.colourSelect.replaceChildren(
      ...choicesFor(this.exhibit, chart, colour).map(({ key, label }) =>
        h("option", { value: key, selected: key === colour }, label),
      ),
    );
    const colouring = await colouringFor(this.exhibit, chart, colour);
    if (chart !== this.chart || turn !== this.colourTurn) return;
    this.colouring = colouring;
    this.highlighted = null;
    this.dressAll();
    this.drawLegend();
    this.element.dispatchEvent(new CustomEvent("coloured", { detail: colouring, bubbles: true }));
  }

  private chosenColour(): string {
    const chosen = this.colourSelect.value;
    if (chosen !== "related:") return chosen;
    // The species that is selected, or the first of the tree.
    return `related:${this.store.state.species[0] ?? this.exhibit.tree!.tipNames[0]}`;
  }

  private async reselect(state: State): Promise<void> {
    this.selection = selectionOf(state);
    const { chart, selection } = this;
    this.isSelecting = true;
    const rows = await selectedRows(this.exhibit, chart, selection);
    if (chart !== this.chart || selection !== this.selection) return;
    this.isSelecting = false;
    this.selected = null;
    if (selection.kind === "species" || selection.kind === "lasso") {
      this.selected = new Uint8Array(chart.info.n);
      for (const row of rows) this.selected[row] = 1;
    }
    this.dressAll();
  }

  private dressAll(): void {
    for (const tile of this.tiles.all()) this.dress(tile);
    this.draw();
  }

  /** Gives the points of a tile their colours. */
  private dress(tile: Tile): void {
    const { colouring, selected, highlighted } = this;
    const known = new Map<number, number>();
    for (let i = 0; i < tile.rows.length; i++) {
      const row = tile.rows[i];
      const value = colouring ? colouring.values[row] : NaN;
      let tint = known.get(value);
      if (tint === undefined) known.set(value, (tint = packed(colouring?.scale.colourOf(value) ?? [152, 161, 171])));
      tile.tint[i] = tint;
      const isOut = (selected !== null && selected[row] === 0) || (highlighted !== null && value !== highlighted);
      tile.isDim[i] = Number(isOut);
    }
    tile.version++;
  }

  // Moving about ------------------------------------------------------------------------------

  private get side(): number {
    return Math.min(this.over.clientWidth, this.over.clientHeight) || 1;
  }

  private toPixels(x: number, y: number): [number, number] {
    const scale = this.side * this.camera[2];
    return [
      (x - this.camera[0]) * scale + this.over.clientWidth / 2,
      (y - this.camera[1]) * scale + this.over.clientHeight / 2,
    ];
  }

  private toChart(px: number, py: number): [number, number] {
    const scale = this.side * this.camera[2];
    return [
      (px - this.over.clientWidth / 2) / scale + this.camera[0],
      (py - this.over.clientHeight / 2) / scale + this.camera[1],
    ];
  }

  private move(camera: [number, number, number]): void {
    const clip = (x: number) => Math.min(Math.max(x, -0.2), 1.2);
    this.camera = [clip(camera[0]), clip(camera[1]), Math.min(Math.max(camera[2], 0.5), 5000)];
    this.store.update({ camera: this.camera });
    this.draw();
  }

  private zoom(factor: number, px = this.over.clientWidth / 2, py = this.over.clientHeight / 2): void {
    const [x, y] = this.toChart(px, py);
    const zoom = Math.min(Math.max(this.camera[2] * factor, 0.5), 5000);
    const share = 1 - this.camera[2] / zoom;
    this.move([this.camera[0] + (x - this.camera[0]) * share, this.camera[1] + (y - this.camera[1]) * share, zoom]);
  }

  private fit(): void {
    this.move([0.5, 0.5, 1]);
  }

  private listen(): void {
    const { over } = this;
    let dragged: { x: number; y: number; moved: boolean } | null = null;
    const at = (event: MouseEvent): [number, number] => {
      const box = over.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    over.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      over.setPointerCapture(event.pointerId);
      const [x, y] = at(event);
      dragged = { x, y, moved: false };
      if (this.isLassoing || event.shiftKey) this.line = this.toChart(x, y);
    });
    over.addEventListener("pointermove", (event) => {
      const [x, y] = at(event);
      if (!dragged) {
        this.point(x, y);
        return;
      }
      if (Math.hypot(x - dragged.x, y - dragged.y) < 3 && !dragged.moved) return;
      if (this.line.length) {
        this.line.push(...this.toChart(x, y));
        this.draw();
      } else {
        const scale = this.side * this.camera[2];
        this.move([this.camera[0] - (x - dragged.x) / scale, this.camera[1] - (y - dragged.y) / scale, this.camera[2]]);
        [dragged.x, dragged.y] = [x, y];
      }
      dragged.moved = true;
    });
    over.addEventListener("pointerup", (event) => {
      if (!dragged) return;
      if (this.line.length >= 6) {
        this.store.update({ lasso: thinned(this.line), thing: null, species: [] });
        announce("Selected what was drawn around.");
      } else if (!dragged.moved) {
        this.pick(this.nearest(...at(event), 14));
      }
      dragged = null;
      this.line = [];
      this.draw();
    });
    over.addEventListener("pointerleave", () => this.point(-1e3, -1e3));
    over.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), ...at(event));
      },
      { passive: false },
    );
    over.addEventListener("keydown", (event) => this.onKey(event));
  }

  private onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = 60 / (this.side * this.camera[2]);
    const [x, y, zoom] = this.camera;
    const actions: Record<string, () => void> = {
      ArrowLeft: () => this.move([x - step, y, zoom]),
      ArrowRight: () => this.move([x + step, y, zoom]),
      ArrowUp: () => this.move([x, y - step, zoom]),
      ArrowDown: () => this.move([x, y + step, zoom]),
      "+": () => this.zoom(1.3),
      "=": () => this.zoom(1.3),
      "-": () => this.zoom(1 / 1.3),
      "0": () => this.fit(),
      l: () => this.setLasso(!this.isLassoing),
      p: () => this.togglePictures(),
      b: () => this.selectScreen(),
      n: () => this.onceDrawn(() => this.pickNext()),
      Enter: () =>
        this.onceDrawn(() => this.pick(this.nearest(this.over.clientWidth / 2, this.over.clientHeight / 2, 1e4))),
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  /** Acts on what is drawn: a key pressed while a map is still coming waits for it. */
  private onceDrawn(act: () => void): void {
    if (this.visible.length) act();
    else this.waiting = act;
  }

  private setLasso(on: boolean): void {
    this.isLassoing = on;
    this.lassoButton.setAttribute("aria-pressed", String(on));
    this.over.classList.toggle("drawing", on);
  }

  private togglePictures(): void {
    this.withPictures = !this.withPictures;
    this.picturesButton.setAttribute("aria-pressed", String(this.withPictures));
    this.draw();
  }

  private selectScreen(): void {
    const [left, top] = this.toChart(0, 0);
    const [right, bottom] = this.toChart(this.over.clientWidth, this.over.clientHeight);
    this.store.update({ lasso: [left, top, right, top, right, bottom, left, bottom], thing: null, species: [] });
    announce("Selected everything on the screen.");
  }

  private pick(row: number | null): void {
    this.waiting = null;
    if (row === null) {
      this.store.update({ thing: null, species: [], lasso: [] });
    } else {
      this.store.update({ thing: row, lasso: [], species: [] });
    }
  }

  private pickNext(): void {
    const rows = this.onScreen().map(({ row }) => row).sort((a, b) => a - b);
    if (!rows.length) return;
    const now = this.store.state.thing ?? -1;
    this.pick(rows.find((row) => row > now) ?? rows[0]);
  }

  private readonly point = eachFrame((x: number, y: number) => {
    const row = this.nearest(x, y, 12);
    if (row === this.hover) return;
    this.hover = row;
    this.over.classList.toggle("pointing", row !== null);
    this.draw();
  });

  /** The nearest drawn thing within reach, those of the selection first. */
  private nearest(px: number, py: number, reach: number): number | null {
    const [x, y] = this.toChart(px, py);
    const limit = reach / (this.side * this.camera[2]);
    let [best, found]: [number, number | null] = [limit * limit, null];
    for (const tile of this.visible) {
      for (let i = 0; i < tile.rows.length; i++) {
        if (tile.isDim[i]) continue;
        const [dx, dy] = [tile.xy[2 * i] - x, tile.xy[2 * i + 1] - y];
        const away = dx * dx + dy * dy;
        if (away < best) [best, found] = [away, tile.rows[i]];
      }
    }
    return found;
  }

  private onScreen(): { row: number; x: number; y: number; tint: number; isDim: boolean }[] {
    const { clientWidth: w, clientHeight: hgt } = this.over;
    const found = [];
    const scale = this.side * this.camera[2];
    const [shiftX, shiftY] = [w / 2 - this.camera[0] * scale, hgt / 2 - this.camera[1] * scale];
    for (const tile of this.visible) {
      for (let i = 0; i < tile.rows.length; i++) {
        const [x, y] = [tile.xy[2 * i] * scale + shiftX, tile.xy[2 * i + 1] * scale + shiftY];
        if (x < 0 || y < 0 || x > w || y > hgt) continue;
        found.push({ row: tile.rows[i], x, y, tint: tile.tint[i], isDim: tile.isDim[i] === 1 });
      }
    }
    return found;
  }

  // Drawing -----------------------------------------------------------------------------------

  private resize(): void {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    for (const canvas of [this.canvas, this.over]) {
      canvas.width = Math.max(1, Math.round(this.sheet.clientWidth * ratio));
      canvas.height = Math.max(1, Math.round(this.sheet.clientHeight * ratio));
    }
    this.draw();
  }

  private drawNow(): void {
    if (!this.chart || this.canvas.width < 2) return;
    const ratio = this.canvas.width / this.sheet.clientWidth;
    const scale = this.side * this.camera[2];
    const [left, top] = this.toChart(0, 0);
    const [right, bottom] = this.toChart(this.over.clientWidth, this.over.clientHeight);
    this.visible = this.tiles.visible({ left, top, right, bottom }, scale);
    const camera: Camera = {
      scale: scale * ratio,
      shiftX: (this.over.clientWidth / 2 - this.camera[0] * scale) * ratio,
      shiftY: (this.over.clientHeight / 2 - this.camera[1] * scale) * ratio,
    };
    if (this.waiting && this.visible.length) {
      const act = this.waiting;
      this.waiting = null;
      act();
    }
    const drawn = this.visible.reduce((sum, tile) => sum + tile.rows.length, 0);
    const paper = getComputedStyle(this.element).getPropertyValue("--chart").trim();
    this.painter.paint(this.visible, camera, this.diameter(drawn) * ratio, paper);
    this.drawOver(ratio, drawn);
    if (drawn && this.colouring && !this.wasDrawn) {
      this.wasDrawn = true;
      performance.mark("first points");
    }
    const all = this.chart.info.n;
    const what = this.chart.nouns[1];
    this.status.textContent =
      `${drawn < all ? `${drawn.toLocaleString("en")} of ` : ""}${all.toLocaleString("en")} ${what} · ${this.chart.info.placed_by}`;
    this.element.dataset.drawn = String(drawn);
    if (this.tiles.isComplete && this.colouring && !this.isSelecting) this.element.dataset.ready = "true";
    else delete this.element.dataset.ready;
  }

  /** Dots grow when one comes near, and shrink when they are many. */
  private diameter(drawn: number): number {
    const base = drawn > 50_000 ? 2 : drawn > 8_000 ? 3 : drawn > 1_500 ? 4.5 : 7;
    return Math.min(base * Math.max(1, this.camera[2]) ** 0.35, 12);
  }

  private drawOver(ratio: number, drawn: number): void {
    const context = this.over.getContext("2d")!;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.over.clientWidth, this.over.clientHeight);
    const styles = getComputedStyle(this.element);
    const [ink, accent, paper] = ["--ink", "--accent", "--chart"].map((name) => styles.getPropertyValue(name).trim());
    if (this.withPictures && this.chart.info.has_pictures && drawn) this.drawPictures(context, paper);
    const line = this.line.length ? this.line : this.selection.kind === "lasso" ? this.selection.line : [];
    if (line.length >= 4) {
      context.beginPath();
      for (let i = 0; i < line.length; i += 2) context.lineTo(...this.toPixels(line[i], line[i + 1]));
      context.closePath();
      context.strokeStyle = accent;
      context.lineWidth = 1.5;
      context.setLineDash([5, 4]);
      context.stroke();
      context.setLineDash([]);
      context.globalAlpha = 0.06;
      context.fillStyle = accent;
      context.fill();
      context.globalAlpha = 1;
    }
    const picked = this.selection.kind === "thing" ? this.selection.row : null;
    for (const [row, colour, width] of [[this.hover, ink, 1.5], [picked, accent, 2.5]] as const) {
      const place = row === null ? null : this.placeOf(row);
      if (!place) continue;
      context.beginPath();
      context.arc(...place, 9, 0, 2 * Math.PI);
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.stroke();
    }
    if (this.hover !== null) this.drawLabel(context, this.hover, ink, paper);
    if (this.marker) {
      const [x, y] = this.toPixels(...this.marker);
      context.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + 5 * dx, y + 5 * dy);
        context.lineTo(x + 16 * dx, y + 16 * dy);
      }
      for (const [colour, width] of [[paper, 7], [ink, 2.5]] as const) {
        context.strokeStyle = colour;
        context.lineWidth = width;
        context.stroke();
      }
    }
  }

  private placeOf(row: number): [number, number] | null {
    for (const tile of this.visible) {
      // Rows of a tile ascend.
      let [low, high] = [0, tile.rows.length - 1];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (tile.rows[middle] < row) low = middle + 1;
        else high = middle;
      }
      if (tile.rows[low] === row) return this.toPixels(tile.xy[2 * low], tile.xy[2 * low + 1]);
    }
    return null;
  }

  private drawLabel(context: CanvasRenderingContext2D, row: number, ink: string, paper: string): void {
    const place = this.placeOf(row);
    const text = this.labelOf(row);
    if (!place || !text) return;
    context.font = "italic 13px Charter, Georgia, serif";
    const width = context.measureText(text).width;
    const x = Math.min(place[0] + 13, this.over.clientWidth - width - 14);
    context.fillStyle = paper;
    context.globalAlpha = 0.9;
    context.fillRect(x - 4, place[1] - 11, width + 8, 21);
    context.globalAlpha = 1;
    context.fillStyle = ink;
    context.fillText(text, x, place[1] + 4);
  }

  private labelOf(row: number): string {
    const { colouring } = this;
    if (!colouring) return "";
    const value = colouring.values[row];
    if (Number.isNaN(value)) return "";
    const column = this.chart.column(colouring.column);
    return column?.kind === "category" ? readable(column.categories[value]) : shown(value);
  }

  /** Pictures instead of points, one where several would cover each other. */
  private drawPictures(context: CanvasRenderingContext2D, paper: string): void {
    // Come near enough, and every picture has room.
    const size = Math.min(THUMB, 26 + 9 * Math.log2(Math.max(this.camera[2], 1)));
    if (size < 30 || this.isCrowded()) return;
    const near = this.onScreen().filter(({ isDim }) => !isDim);
    const taken = new Set<string>();
    for (const { row, x, y, tint } of near.sort((a, b) => a.row - b.row)) {
      const [column, line] = [Math.floor(x / (size + 6)), Math.floor(y / (size + 6))];
      const cell = `${column},${line}`;
      if (taken.has(cell)) continue;
      const picture = this.image(row);
      if (!picture) continue;
      taken.add(cell);
      const [w, hgt] = fitted(picture.naturalWidth, picture.naturalHeight, size);
      const [px, py] = [(column + 0.5) * (size + 6) - w / 2, (line + 0.5) * (size + 6) - hgt / 2];
      context.fillStyle = paper;
      context.fillRect(px - 2, py - 2, w + 4, hgt + 4);
      context.drawImage(picture, px, py, w, hgt);
      context.strokeStyle = css([tint & 255, (tint >> 8) & 255, (tint >> 16) & 255]);
      context.lineWidth = 2;
      context.strokeRect(px - 1, py - 1, w + 2, hgt + 2);
    }
  }

  private isCrowded(): boolean {
    const [left, top] = this.toChart(0, 0);
    const [right, bottom] = this.toChart(this.over.clientWidth, this.over.clientHeight);
    let n = 0;
    for (const { xy, isDim } of this.visible) {
      for (let i = 0; i < isDim.length; i++) {
        if (isDim[i] || xy[2 * i] < left || xy[2 * i] > right || xy[2 * i + 1] < top || xy[2 * i + 1] > bottom) continue;
        if (++n > MOST_FOR_PICTURES) return true;
      }
    }
    return false;
  }

  private image(row: number): HTMLImageElement | null {
    const key = `${this.chart.number}/${row}`;
    const known = this.images.get(key);
    if (known !== undefined) return known;
    this.images.set(key, null);
    void this.chart.picture(row, "small").then((address) => {
      const picture = new Image();
      picture.onload = () => {
        this.images.set(key, picture);
        this.draw();
      };
      picture.src = address;
    }, () => undefined);
    return null;
  }

  private drawLegend(): void {
    const scale = this.colouring!.scale;
    const parts: HTMLElement[] = [];
    if (scale.range) {
      parts.push(
        h("div", { class: "ramp" }, h("span", {}, shown(scale.range[0])), h("i", {}), h("span", {}, shown(scale.range[1]))),
      );
    }
    for (const { label, colour, code, count } of scale.entries) {
      const button = h(
        "button",
        { type: "button", "aria-pressed": "false", title: `Only ${readable(label)}`, disabled: code < 0 },
        h("i", { style: { background: colour } }),
        h("span", { class: /_/.test(label) ? "taxon" : "" }, readable(label)),
        h("small", {}, count.toLocaleString("en")),
      );
      button.addEventListener("click", () => {
        this.highlighted = this.highlighted === code ? null : code;
        for (const other of this.legend.querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
        button.setAttribute("aria-pressed", String(this.highlighted === code));
        this.dressAll();
      });
      parts.push(button);
    }
    this.legend.replaceChildren(...parts);
  }

  // Taking it home ----------------------------------------------------------------------------

  get exports(): Exports {
    return {
      name: "map",
      svg: () => this.toSvg(),
      png: () => this.toPng(),
      csv: () => this.toCsv(),
    };
  }

  private toPng(): Promise<Blob> {
    this.drawNow();
    const whole = h("canvas", { width: this.canvas.width, height: this.canvas.height });
    const context = whole.getContext("2d")!;
    context.drawImage(this.canvas, 0, 0);
    context.drawImage(this.over, 0, 0);
    return blobOf(whole);
  }

  private toSvg(): string {
    const { clientWidth: w, clientHeight: hgt } = this.over;
    const points = this.onScreen();
    const styles = getComputedStyle(this.element);
    const value = (name: string) => styles.getPropertyValue(name).trim();
    const groups = new Map<string, [number, number][]>();
    for (const { x, y, tint, isDim } of points) {
      const key = `${isDim ? 0 : 1} ${css([tint & 255, (tint >> 8) & 255, (tint >> 16) & 255])}`;
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key)!.push([x, y]);
    }
    const size = this.diameter(points.length);
    const paths = [...groups.entries()].sort().map(([key, xy]) => {
      const opacity = key.startsWith("0") ? 0.16 : 0.9;
      return `<path d="${dots(xy)}" stroke="${key.slice(2)}" stroke-width="${size.toFixed(1)}" stroke-opacity="${opacity}" stroke-linecap="round" fill="none"/>`;
    });
    const legend = this.colouring!.scale.entries.slice(0, 24).map(
      ({ label, colour, count }, i) =>
        `<circle cx="18" cy="${46 + 18 * i}" r="5" fill="${colour}"/><text x="30" y="${50 + 18 * i}">${escaped(readable(label))} (${count})</text>`,
    );
    const title = escaped(`${this.chart.info.placed_by}, coloured by ${this.colouring!.scale.title}`);
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${hgt}" viewBox="0 0 ${w} ${hgt}" font-family="sans-serif" font-size="12" fill="${value("--ink")}"><title>${title}</title><rect width="100%" height="100%" fill="${value("--chart")}"/>${paths.join("")}<text x="12" y="24" font-weight="bold">${title}</text>${legend.join("")}</svg>`;
  }

  /** The things that are selected, or all that are on the screen. */
  private async toCsv(): Promise<string> {
    const { chart } = this;
    const [ids, xy] = [await chart.ids(), await chart.positions()];
    const columns = await Promise.all(chart.info.columns.map((column) => chart.values(column)));
    let rows: Iterable<number>;
    if (this.selection.kind === "none") {
      const [left, top] = this.toChart(0, 0);
      const [right, bottom] = this.toChart(this.over.clientWidth, this.over.clientHeight);
      const box = [left, top, right, top, right, bottom, left, bottom];
      rows = [...ids.keys()].filter((i) => isInside(box, xy[2 * i], xy[2 * i + 1]));
    } else {
      rows = await selectedRows(this.exhibit, chart, this.selection);
    }
    const lines: Value[][] = [];
    for (const row of rows) {
      const cells = chart.info.columns.map((column, k): Value => {
        const value = columns[k][row];
        if (Number.isNaN(value)) return null;
        return column.kind === "category" ? column.categories[value] : value;
      });
      lines.push([ids[row], xy[2 * row], xy[2 * row + 1], ...cells]);
    }
    return csvOf([chart.info.kind, "x", "y", ...chart.info.columns.map((column) => column.name)], lines);
  }
}

function fitted(width: number, height: number, side: number): [number, number] {
  const scale = side / Math.max(width, height, 1);
  return [width * scale, height * scale];
}

/** A line of at most 120 corners, which an address can hold. */
function thinned(line: number[]): number[] {
  const n = line.length / 2;
  const step = Math.max(1, Math.ceil(n / 120));
  const kept: number[] = [];
  for (let i = 0; i < n; i += step) kept.push(line[2 * i], line[2 * i + 1]);
  return kept.map((x) => Number(x.toFixed(4)));
}
