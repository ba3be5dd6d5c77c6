import type { Span } from './sentences.ts';

const maxInlineChars = 200;

/**
 * The stretches of fenced (three backticks, else to the end) and inline code (one line, at most 200 characters),
 * ascending. Looks at every backtick once: linear.
 */
export function codeRanges(text: string): Span[] {
  const ranges: Span[] = [];
  let at = text.indexOf('`');
  while (at !== -1) {
    if (text.startsWith('```', at)) {
      const close = text.indexOf('```', at + 3);
      const end = close === -1 ? text.length : close + 3;
      ranges.push({ start: at, end });
      at = text.indexOf('`', end);
      continue;
    }
    const close = text.indexOf('`', at + 1);
    if (close === -1) break;
    if (close - at <= maxInlineChars && !text.slice(at, close).includes('\n')) {
      ranges.push({ start: at, end: close + 1 });
      at = text.indexOf('`', close + 1);
    } else {
      at = close;
    }
  }
  return ranges;
}
