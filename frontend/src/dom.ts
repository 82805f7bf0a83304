// Elements from one expression, and small things every part of the page needs.

type Child = Node | string | number | null | undefined | false | Child[];
type Props = Record<string, unknown>;

/** Pixels that a pointer may move in a press; more is a drag. */
const STILL = 4;

function apply(element: Element, props: Props): void {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value as EventListener);
    else if (name === "style") Object.assign((element as HTMLElement).style, value);
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, String(value));
  }
}

function fill(element: Element, children: Child[]): void {
  for (const child of children) {
    if (Array.isArray(child)) fill(element, child);
    else if (child !== null && child !== undefined && child !== false) {
      element.append(child instanceof Node ? child : String(child));
    }
  }
}

/** An HTML element: attributes, `onclick` and the like, then children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  apply(element, props);
  fill(element, children);
  return element;
}

/** The same for SVG. */
export function s<K extends keyof SVGElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  apply(element, props);
  fill(element, children);
  return element;
}

/** Tells those who cannot see the page what has changed. */
export function announce(message: string): void {
  const region = document.getElementById("announcer");
  if (region) region.textContent = message;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

/** Species are written as biologists write them. */
export function readable(name: string): string {
  return name.replaceAll("_", " ");
}

export function shown(value: unknown): string {
  if (typeof value !== "number") return String(value ?? "");
  if (Number.isInteger(value) || Math.abs(value) >= 1e4) return value.toLocaleString("en");
  return Math.abs(value) >= 1e-3 || value === 0 ? String(Number(value.toPrecision(3))) : value.toExponential(1);
}

/** Words in which `backticks` mark names of columns. */
export function prose(text: string): (string | HTMLElement)[] {
  return text.split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part));
}

export function percent(share: number): string {
  const value = 100 * share;
  if (value > 99 && value < 100) return ">99%";
  if (value > 0 && value < 1) return "<1%";
  return `${Math.round(value)}%`;
}

/** Calls at most once a frame, with the last arguments. */
export function eachFrame<A extends unknown[]>(action: (...args: A) => void): (...args: A) => void {
  let waiting: A | null = null;
  return (...args: A) => {
    if (waiting === null) {
      requestAnimationFrame(() => {
        const last = waiting as A;
        waiting = null;
        action(...last);
      });
    }
    waiting = args;
  };
}

/** Calls for a press of the main button, also when what was pressed is drawn anew before it is let go: a click is lost then. */
export function onPress(element: Element, action: (event: PointerEvent) => void): void {
  let pressed: PointerEvent | null = null;
  const on = (name: string, listener: (event: PointerEvent) => void) => element.addEventListener(name, (event) => listener(event as PointerEvent));
  on("pointerdown", (event) => (pressed = event.button === 0 ? event : null));
  on("pointercancel", () => (pressed = null));
  on("pointerup", (event) => {
    const isPress = pressed?.pointerId === event.pointerId && Math.hypot(event.clientX - pressed.clientX, event.clientY - pressed.clientY) < STILL;
    pressed = null;
    if (isPress) action(event);
  });
}
