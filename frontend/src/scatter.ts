// Dots between two axes, one of which is chosen by pressing it.

import { onPress, s, shown } from "./dom";

const [LEFT, RIGHT, TOP, BOTTOM] = [58, 22, 22, 46];
const REACH = 20;

export interface Axis {
  title: string;
  /** Value of a dot on this axis; null where there is none. */
  at(i: number): number | null;
  /** What is written at a value; plain numbers when left out. */
  label?(value: number): string;
  /** Values at the marks are whole numbers. */
  isWhole?: boolean;
}

export interface ScatterContent {
  names: string[];
  across: Axis;
  upwards: Axis;
  /** A line across, and what it says. */
  threshold?: { value: number; words: string };
  isLoud(i: number): boolean;
  chosen: string;
  /** How a name is written; as it is when left out. */
  nameOf?(name: string): string;
}

export class Scatter {
  readonly svg = s("svg", { class: "scatter", role: "img" });
  private content: ScatterContent | null = null;

  constructor(private readonly onChoice: (name: string) => void) {
    onPress(this.svg, (event) => this.pick(event));
    new ResizeObserver(() => this.redraw()).observe(this.svg);
  }

  draw(content: ScatterContent): void {
    this.content = content;
    this.redraw();
  }

  private redraw(): void {
    const { content } = this;
    if (!content) return;
    const { names, across, upwards, threshold, chosen } = content;
    const { x, y, width, height, ends } = this.scales(content);
    let [quiet, loud] = ["", ""];
    names.forEach((_, i) => {
      const [a, b] = [across.at(i), upwards.at(i)];
      if (a === null || b === null) return;
      const dot = `M${x(a).toFixed(1)} ${y(b).toFixed(1)}h0`;
      if (content.isLoud(i)) loud += dot;
      else quiet += dot;
    });
    const parts: SVGElement[] = [
      s("path", { class: "axis", d: `M${LEFT} ${height - BOTTOM}H${width - RIGHT}M${LEFT} ${TOP}V${height - BOTTOM}` }),
      ...marks(ends[0], ends[1], 6, across.isWhole).map((value) =>
        s("text", { class: "tick", x: x(value), y: height - BOTTOM + 18, "text-anchor": "middle" }, across.label?.(value) ?? shown(value)),
      ),
      ...marks(ends[2], ends[3], 6, upwards.isWhole).map((value) =>
        s("text", { class: "tick", x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, upwards.label?.(value) ?? shown(value)),
      ),
      s("text", { class: "tick", x: (LEFT + width - RIGHT) / 2, y: height - 8, "text-anchor": "middle" }, across.title),
      s("text", { class: "tick", x: LEFT - 8, y: TOP - 9 }, upwards.title),
      s("path", { class: "dots", d: quiet }),
      s("path", { class: "dots loud", d: loud }),
    ];
    if (threshold && threshold.value <= ends[3]) {
      parts.push(s("path", { class: "threshold", d: `M${LEFT} ${y(threshold.value)}H${width - RIGHT}` }));
      parts.push(s("text", { class: "tick", x: width - RIGHT, y: y(threshold.value) - 5, "text-anchor": "end" }, threshold.words));
    }
    const place = names.indexOf(chosen);
    const [a, b] = place < 0 ? [null, null] : [across.at(place), upwards.at(place)];
    if (a !== null && b !== null) {
      const isRight = x(a) > width - 150;
      parts.push(s("circle", { class: "chosen", cx: x(a), cy: y(b), r: 7 }));
      parts.push(s("text", { class: "chosen-label", x: x(a) + (isRight ? -12 : 12), y: y(b) + 4, "text-anchor": isRight ? "end" : "start" }, content.nameOf?.(chosen) ?? chosen));
    }
    this.svg.replaceChildren(...parts);
    this.svg.setAttribute("aria-label", `${names.length} dots: ${across.title} across, ${upwards.title} upwards`);
  }

  private scales({ names, across, upwards }: ScatterContent): {
    x(value: number): number;
    y(value: number): number;
    width: number;
    height: number;
    ends: [number, number, number, number];
  } {
    const [width, height] = [this.svg.clientWidth || 640, this.svg.clientHeight || 420];
    const ends: [number, number, number, number] = [0, 0, 0, 0];
    names.forEach((_, i) => {
      const [a, b] = [across.at(i), upwards.at(i)];
      if (a === null || b === null) return;
      ends[0] = Math.min(ends[0], a);
      ends[1] = Math.max(ends[1], a);
      ends[2] = Math.min(ends[2], b);
      ends[3] = Math.max(ends[3], b);
    });
    ends[1] = ends[1] > ends[0] ? ends[1] : ends[0] + 1;
    ends[3] = ends[3] > ends[2] ? ends[3] : ends[2] + 1;
    return {
      x: (value) => LEFT + ((value - ends[0]) / (ends[1] - ends[0])) * (width - LEFT - RIGHT),
      y: (value) => height - BOTTOM - ((value - ends[2]) / (ends[3] - ends[2])) * (height - TOP - BOTTOM),
      width,
      height,
      ends,
    };
  }

  private pick(event: MouseEvent): void {
    const { content } = this;
    if (!content) return;
    const box = this.svg.getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    const { x, y } = this.scales(content);
    let [best, found] = [REACH * REACH, -1];
    content.names.forEach((_, i) => {
      const [a, b] = [content.across.at(i), content.upwards.at(i)];
      if (a === null || b === null) return;
      const away = (x(a) - px) ** 2 + (y(b) - py) ** 2;
      if (away < best) [best, found] = [away, i];
    });
    if (found >= 0) this.onChoice(content.names[found]);
  }
}

/** Round numbers between two ends. */
function marks(low: number, high: number, most: number, isWhole = false): number[] {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= rough) ?? rough;
  if (isWhole) step = Math.max(1, Math.round(step));
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high * (1 + 1e-9); k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}
