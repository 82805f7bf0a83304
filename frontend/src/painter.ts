// Points to pixels: WebGL2 where there is one, otherwise straight into the pixels of a canvas,
// which is fast enough for hundreds of thousands of points.

import { packed, rgb, type Rgb } from "./colour";

/** Points of one tile. `tint` is packed colour; `isDim` marks points outside the selection. */
export interface Batch {
  xy: Float32Array;
  tint: Uint32Array;
  isDim: Uint8Array;
  /** Raised whenever `tint` or `isDim` changed. */
  version: number;
}

/** From chart units to pixels: x * scale + shiftX. */
export interface Camera {
  scale: number;
  shiftX: number;
  shiftY: number;
}

export interface Painter {
  readonly kind: "webgl2" | "canvas2d";
  paint(batches: Batch[], camera: Camera, diameter: number, paper: string): void;
}

/**
 * The best painter there is; `wish` may ask for `canvas2d` or `webgl2`. Where WebGL would be computed
 * by the processor, plain pixels are faster, and it is not taken unless it is asked for.
 */
export function openPainter(makeCanvas: () => HTMLCanvasElement, wish: string | null): [Painter, HTMLCanvasElement] {
  if (wish !== "canvas2d") {
    const canvas = makeCanvas();
    const gl = canvas.getContext("webgl2", {
      antialias: false,
      alpha: false,
      preserveDrawingBuffer: true,
      failIfMajorPerformanceCaveat: wish !== "webgl2",
    });
    const painter = gl && GlPainter.on(gl);
    if (painter) return [painter, canvas];
  }
  // A canvas that was asked for one kind of context gives no other.
  const canvas = makeCanvas();
  return [new PixelPainter(canvas.getContext("2d", { alpha: false })!), canvas];
}

/** How much of a dim point's colour is left; the rest is paper. */
const DIM = 0.16;

function faded(tint: number, paper: Rgb): number {
  const mix = (a: number, b: number) => Math.round(a * DIM + b * (1 - DIM));
  return packed([mix(tint & 255, paper[0]), mix((tint >> 8) & 255, paper[1]), mix((tint >> 16) & 255, paper[2])]);
}

/** Writes pixels itself: two passes, dim points under the others. */
class PixelPainter implements Painter {
  readonly kind = "canvas2d";
  private image: ImageData | null = null;
  private pixels = new Uint32Array(0);
  private background = new Uint32Array(0);
  private fadedOf = new Map<number, number>();
  private paper = "";

  constructor(private readonly context: CanvasRenderingContext2D) {}

  paint(batches: Batch[], camera: Camera, diameter: number, paper: string): void {
    const { width, height } = this.context.canvas;
    if (!this.image || this.image.width !== width || this.image.height !== height) {
      this.image = this.context.createImageData(width, height);
      this.pixels = new Uint32Array(this.image.data.buffer);
      this.background = new Uint32Array(0);
    }
    if (paper !== this.paper || this.background.length !== this.pixels.length) {
      this.paper = paper;
      this.fadedOf.clear();
      this.background = new Uint32Array(this.pixels.length).fill(packed(rgb(paper)));
    }
    this.pixels.set(this.background);
    const stamp = stampOf(diameter, width);
    const anyDim = batches.some((batch) => batch.isDim.includes(1));
    if (anyDim) for (const batch of batches) this.splat(batch, camera, stamp, 1);
    for (const batch of batches) this.splat(batch, camera, stamp, 0);
    this.context.putImageData(this.image, 0, 0);
  }

  private splat(batch: Batch, camera: Camera, stamp: Stamp, pass: number): void {
    const { xy, tint, isDim } = batch;
    const { scale, shiftX, shiftY } = camera;
    const { width, height } = this.context.canvas;
    const { pixels } = this;
    const paper = rgb(this.paper);
    const { inner, edge, edgeShare, radius } = stamp;
    const [right, bottom] = [width - radius - 1, height - radius - 1];
    for (let i = 0; i < tint.length; i++) {
      if (isDim[i] !== pass) continue;
      const x = Math.round(xy[2 * i] * scale + shiftX);
      const y = Math.round(xy[2 * i + 1] * scale + shiftY);
      if (x < radius || y < radius || x > right || y > bottom) continue;
      let colour = tint[i];
      if (pass === 1) {
        const known = this.fadedOf.get(colour);
        if (known === undefined) this.fadedOf.set(colour, (colour = faded(colour, paper)));
        else colour = known;
      }
      const at = y * width + x;
      for (let k = 0; k < inner.length; k++) pixels[at + inner[k]] = colour;
      for (let k = 0; k < edge.length; k++) {
        const place = at + edge[k];
        const under = pixels[place];
        const share = edgeShare[k];
        // Red and blue together, green alone: two multiplications blend three bands.
        const rb = under & 0xff00ff;
        const g = under & 0x00ff00;
        const mixedRb = (rb + ((((colour & 0xff00ff) - rb) * share) >> 7)) & 0xff00ff;
        const mixedG = (g + ((((colour & 0x00ff00) - g) * share) >> 7)) & 0x00ff00;
        pixels[place] = (0xff000000 | mixedRb | mixedG) >>> 0;
      }
    }
  }
}

interface Stamp {
  radius: number;
  inner: Int32Array;
  edge: Int32Array;
  edgeShare: Int32Array;
}

/** The pixels that a disc covers, relative to its middle: wholly, and by how many parts of 128. */
function stampOf(diameter: number, width: number): Stamp {
  const radius = Math.ceil(diameter / 2);
  const [inner, edge, share]: [number[], number[], number[]] = [[], [], []];
  for (let y = -radius; y <= radius; y++) {
    for (let x = -radius; x <= radius; x++) {
      const cover = diameter / 2 + 0.5 - Math.hypot(x, y);
      if (cover >= 1) inner.push(y * width + x);
      else if (cover > 0.1) {
        edge.push(y * width + x);
        share.push(Math.round(cover * 128));
      }
    }
  }
  return { radius, inner: Int32Array.from(inner), edge: Int32Array.from(edge), edgeShare: Int32Array.from(share) };
}

const VERTEX = `#version 300 es
in vec2 place; in vec4 tint; in float dim;
uniform vec3 camera; uniform vec2 size; uniform float diameter; uniform float pass;
out vec4 colour;
void main() {
  vec2 pixel = place * camera.x + camera.yz;
  gl_Position = dim == pass ? vec4(pixel / size * vec2(2.0, -2.0) + vec2(-1.0, 1.0), 0.0, 1.0) : vec4(2.0, 2.0, 0.0, 1.0);
  gl_PointSize = diameter + 1.0;
  colour = tint;
}`;
const FRAGMENT = `#version 300 es
precision highp float;
in vec4 colour; uniform vec3 paper; uniform float pass; uniform float diameter; out vec4 shown;
void main() {
  float cover = clamp((0.5 - distance(gl_PointCoord, vec2(0.5))) * (diameter + 1.0), 0.0, 1.0);
  shown = vec4(mix(colour.rgb, paper, pass * ${1 - DIM}), cover);
}`;

interface Uploaded {
  array: WebGLVertexArrayObject;
  buffers: WebGLBuffer[];
  version: number;
}

class GlPainter implements Painter {
  readonly kind = "webgl2";
  private readonly uploaded = new WeakMap<Batch, Uploaded>();
  private readonly uniforms: Record<string, WebGLUniformLocation | null>;

  private constructor(
    private readonly gl: WebGL2RenderingContext,
    program: WebGLProgram,
  ) {
    const names = ["camera", "size", "diameter", "paper", "pass"];
    this.uniforms = Object.fromEntries(names.map((name) => [name, gl.getUniformLocation(program, name)]));
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFuncSeparate(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA, gl.ZERO, gl.ONE);
  }

  /** Null where the driver will not have the shaders. */
  static on(gl: WebGL2RenderingContext): GlPainter | null {
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]] as const) {
      const shader = gl.createShader(kind);
      if (!shader) return null;
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    ["place", "tint", "dim"].forEach((name, i) => gl.bindAttribLocation(program, i, name));
    gl.linkProgram(program);
    return gl.getProgramParameter(program, gl.LINK_STATUS) ? new GlPainter(gl, program) : null;
  }

  paint(batches: Batch[], camera: Camera, diameter: number, paper: string): void {
    const { gl, uniforms } = this;
    const { width, height } = gl.canvas;
    const [r, g, b] = rgb(paper).map((x) => x / 255);
    gl.viewport(0, 0, width, height);
    gl.clearColor(r, g, b, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform3f(uniforms.camera, camera.scale, camera.shiftX, camera.shiftY);
    gl.uniform2f(uniforms.size, width, height);
    gl.uniform1f(uniforms.diameter, diameter);
    gl.uniform3f(uniforms.paper, r, g, b);
    const anyDim = batches.some((batch) => batch.isDim.includes(1));
    for (const pass of anyDim ? [1, 0] : [0]) {
      gl.uniform1f(uniforms.pass, pass);
      for (const batch of batches) {
        gl.bindVertexArray(this.arrayOf(batch));
        gl.drawArrays(gl.POINTS, 0, batch.tint.length);
      }
    }
    gl.bindVertexArray(null);
  }

  private arrayOf(batch: Batch): WebGLVertexArrayObject {
    const { gl } = this;
    let known = this.uploaded.get(batch);
    if (!known) {
      known = { array: gl.createVertexArray(), buffers: [0, 1, 2].map(() => gl.createBuffer()), version: -1 };
      this.uploaded.set(batch, known);
    }
    if (known.version !== batch.version) {
      gl.bindVertexArray(known.array);
      const parts = [
        [batch.xy, 2, gl.FLOAT, false],
        [batch.tint, 4, gl.UNSIGNED_BYTE, true],
        [batch.isDim, 1, gl.UNSIGNED_BYTE, false],
      ] as const;
      parts.forEach(([data, size, type, normalised], i) => {
        gl.bindBuffer(gl.ARRAY_BUFFER, known.buffers[i]);
        gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
        gl.enableVertexAttribArray(i);
        gl.vertexAttribPointer(i, size, type, normalised, 0, 0);
      });
      known.version = batch.version;
    }
    return known.array;
  }
}
