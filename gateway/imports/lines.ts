import { isUtf8 } from 'node:buffer';
import { parseJson } from '#shared/json.ts';

/** One line of an import: its number from 1, and what stands in it or why that cannot be read. */
export type ImportLine =
  | { readonly line: number; readonly value: unknown }
  | { readonly line: number; readonly problem: string };

export const maxLineBytes = 1_048_576;
const lineFeed = 0x0a;

/**
 * Lines of NDJSON as they arrive; empty ones are counted and left out. Of a line that is too long no more than its length
 * is kept in mind.
 */
export async function* readLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<ImportLine> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  let line = 0;

  function finish(last: Buffer): ImportLine | null {
    line += 1;
    const bytes = restBytes + last.length;
    const parts = rest;
    [rest, restBytes] = [[], 0];
    if (bytes > maxLineBytes)
      return { line, problem: `expected at most ${maxLineBytes} bytes in a line, got ${bytes}` };
    return read(parts.length === 0 ? last : Buffer.concat([...parts, last]), line);
  }

  for await (const chunk of chunks) {
    let begin = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, begin)) {
      const found = finish(chunk.subarray(begin, end));
      begin = end + 1;
      if (found !== null) yield found;
    }
    if (begin === chunk.length) continue;
    const last = chunk.subarray(begin);
    if (restBytes + last.length <= maxLineBytes) rest.push(last);
    restBytes += last.length;
  }
  const found = restBytes === 0 ? null : finish(Buffer.alloc(0));
  if (found !== null) yield found;
}

function read(bytes: Buffer, line: number): ImportLine | null {
  if (!isUtf8(bytes)) return { line, problem: 'the line is not UTF-8' };
  const text = bytes.toString('utf8').trim();
  if (text === '') return null;
  try {
    return { line, value: parseJson(text) };
  } catch {
    return { line, problem: 'the line is not JSON' };
  }
}
