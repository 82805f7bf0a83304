// Where data comes from: a server, or the files of an export, which hold the same answers under
// the same paths.

export interface Source {
  readonly isServer: boolean;
  json<T>(path: string): Promise<T>;
  numbers(path: string): Promise<Float32Array>;
  bytes(path: string): Promise<ArrayBuffer>;
  /** An address that an <img> can show. */
  image(path: string): Promise<string>;
  ask<T>(kind: "picture" | "sequence" | "attention", content: Blob | string): Promise<T>;
}

export function openSource(): Source {
  const isExport = document.querySelector('meta[name="kinlens-source"][content="files"]') !== null;
  return isExport ? new FileSource() : new ServerSource();
}

class ServerSource implements Source {
  readonly isServer = true;

  async json<T>(path: string): Promise<T> {
    return (await this.fetched(path)).json() as Promise<T>;
  }

  async bytes(path: string): Promise<ArrayBuffer> {
    return (await this.fetched(path)).arrayBuffer();
  }

  async numbers(path: string): Promise<Float32Array> {
    return new Float32Array(await this.bytes(path));
  }

  async image(path: string): Promise<string> {
    return `data/${path}`;
  }

  async ask<T>(kind: string, content: Blob | string): Promise<T> {
    const answer = await fetch(`ask/${kind}`, {
      method: "POST",
      body: content,
      headers: { "X-Kinlens": "1", "Content-Type": "application/octet-stream" },
    });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error ?? `The server answered ${answer.status}.`);
    return told as T;
  }

  private async fetched(path: string): Promise<Response> {
    const answer = await fetch(`data/${path}`);
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer;
  }
}

/** Which script holds a path: exactly, or by the number it ends in. */
interface Directory {
  exact: Record<string, number>;
  families: Record<string, { each: number; files: number[] }>;
}

declare global {
  interface Window {
    kinlensFile?: (number: number, content: Record<string, unknown>) => void;
  }
}

class FileSource implements Source {
  readonly isServer = false;
  private readonly files = new Map<number, Promise<Record<string, unknown>>>();
  private readonly arrivals = new Map<number, (content: Record<string, unknown>) => void>();

  constructor() {
    window.kinlensFile = (number, content) => this.arrivals.get(number)?.(content);
  }

  async json<T>(path: string): Promise<T> {
    return (await this.content(path)) as T;
  }

  async bytes(path: string): Promise<ArrayBuffer> {
    const text = atob((await this.content(path)) as string);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes.buffer;
  }

  async numbers(path: string): Promise<Float32Array> {
    return new Float32Array(await this.bytes(path));
  }

  async image(path: string): Promise<string> {
    const kind = path.endsWith(".jpg") ? "jpeg" : path.endsWith(".svg") ? "svg+xml" : "png";
    try {
      return `data:image/${kind};base64,${(await this.content(path)) as string}`;
    } catch (error) {
      // Larger pictures may have been left out to keep the export small.
      const smaller = path.replace("/large/", "/medium/").replace("/medium/", "/small/");
      if (path.includes("/large/")) return this.image(path.replace("/large/", "/medium/"));
      if (smaller !== path) return this.image(smaller);
      throw error;
    }
  }

  ask<T>(): Promise<T> {
    return Promise.reject(new Error("An export has no model. `kinlens explore RUN` answers."));
  }

  private async content(path: string): Promise<unknown> {
    const directory = (await this.file(0)) as unknown as Directory;
    let number: number | undefined = directory.exact[path];
    if (number === undefined) {
      const family = /^(.*\/)(\d+)\.\w+$/.exec(path);
      const found = family && directory.families[family[1]];
      if (found) number = found.files[Math.floor(Number(family[2]) / found.each)];
    }
    const held = number === undefined ? undefined : (await this.file(number))[path];
    if (held === undefined) throw new Error(`${path} is not part of this export.`);
    return held;
  }

  private file(number: number): Promise<Record<string, unknown>> {
    let coming = this.files.get(number);
    if (!coming) {
      coming = new Promise((resolve, reject) => {
        this.arrivals.set(number, resolve);
        const script = document.createElement("script");
        script.src = `data/${number}.js`;
        script.onerror = () => reject(new Error(`data/${number}.js is missing.`));
        document.head.append(script);
      });
      this.files.set(number, coming);
    }
    return coming;
  }
}
