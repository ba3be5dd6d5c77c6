export interface ProgressOptions {
  readonly total: number;
  readonly label: string;
  /** @default process.stderr, so that a piped stdout stays clean */
  readonly stream?: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
}

export interface Progress {
  /** Sets how much of `total` is done; the note stands right of the bar. */
  update(done: number, note?: string): void;
  /** Takes the bar away so that a line can be printed, prints it, and draws the bar again. */
  line(text: string): void;
  /** Ends the bar; what was drawn is cleared. */
  done(): void;
}

const redrawMs = 100;

/** A progress bar on a terminal; elsewhere only the lines appear. */
export function createProgress(options: ProgressOptions): Progress {
  const stream = options.stream ?? process.stderr;
  const live = stream.isTTY === true;
  let current = 0;
  let note = '';
  let drawnAtMs = Number.NEGATIVE_INFINITY;

  function draw(): void {
    if (!live) return;
    const fraction = options.total <= 0 ? 1 : Math.min(1, Math.max(0, current / options.total));
    const percent = `${Math.floor(fraction * 100)}`.padStart(3);
    const width = Math.max(10, Math.min(30, (stream.columns ?? 80) - options.label.length - note.length - 12));
    const filled = Math.round(fraction * width);
    const text = `${options.label} [${'#'.repeat(filled)}${'-'.repeat(width - filled)}] ${percent} % ${note}`;
    stream.write(`\r\x1b[2K${text.slice(0, Math.max(20, (stream.columns ?? 80) - 1))}`);
  }

  return {
    update(done, text) {
      current = done;
      if (text !== undefined) note = text;
      const nowMs = performance.now();
      if (nowMs - drawnAtMs < redrawMs && done < options.total) return;
      drawnAtMs = nowMs;
      draw();
    },
    line(text) {
      if (live) stream.write('\r\x1b[2K');
      stream.write(`${text}\n`);
      draw();
    },
    done() {
      if (live) stream.write('\r\x1b[2K');
    },
  };
}
