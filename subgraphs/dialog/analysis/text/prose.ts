/**
 * Replaces what is not prose by spaces and keeps every line break and offset, so that a span found in the result is
 * a span of the original: fenced and inline code, stack traces, markup, URLs, tables, and lines that are mostly signs.
 * One pass per line, linear in the length of the text.
 */
export function maskNonProse(text: string): string {
  const pieces: string[] = [];
  let fence = '';
  let inTraceback = false;
  let start = 0;
  while (start <= text.length) {
    const newline = text.indexOf('\n', start);
    const end = newline === -1 ? text.length : newline;
    const line = text.slice(start, end);
    const head = line.slice(0, headLength).trimStart();
    const mark = head.startsWith('```') ? '```' : head.startsWith('~~~') ? '~~~' : '';
    if (fence !== '') {
      pieces.push(blank(line.length));
      if (mark === fence) fence = '';
    } else if (mark !== '') {
      pieces.push(blank(line.length));
      // ```like this``` opens and closes on one line.
      if (line.indexOf(mark, line.indexOf(mark) + mark.length) === -1) fence = mark;
    } else {
      if (head.startsWith('Traceback (most recent call last)')) inTraceback = true;
      else if (inTraceback && head !== '' && !startsWithSpace(line)) inTraceback = false;
      pieces.push(inTraceback || isMachineLine(line, head) ? blank(line.length) : maskInline(line));
    }
    if (newline === -1) break;
    pieces.push('\n');
    start = newline + 1;
  }
  return pieces.join('');
}

const headLength = 160;
const blanks = ' '.repeat(1024);

function blank(length: number): string {
  return length <= blanks.length ? blanks.slice(0, length) : ' '.repeat(length);
}

function startsWithSpace(line: string): boolean {
  return line.startsWith(' ') || line.startsWith('\t');
}

// Frames of V8, the JVM, Python and Go; each pattern is anchored and read on the head of a line only.
const framePattern = /^(?:at\s\S|File "[^"\n]{1,120}", line \d|goroutine \d+ \[)/;
const codePattern =
  /^(?:import\s[\w{*]|from\s[\w.]+\simport\s|def\s\w+\(|class\s\w+[(:{]|return\s[\w([{'"]|(?:const|let|var)\s\w+\s*=|function\s*\w*\(|#include\s*[<"]|(?:if|for|while|with|elif)\s.*:$|\$\s\w|>>>\s|print\(|[\w.]{2,60}\([^()]{0,90}\)[;,]?$)/;
const opening = /^[|{}[\]<]/;

/** Whether a line is a stack frame, a table row, program text or data rather than a sentence. */
function isMachineLine(line: string, head: string): boolean {
  if (head.length === 0) return false;
  if (framePattern.test(head) && (head.startsWith('at ') ? startsWithSpace(line) && /[(:]/.test(head) : true))
    return true;
  if (codePattern.test(head)) return true;
  const first = head.charCodeAt(0);
  const last = line.trimEnd().at(-1);
  if (first === 0x7c /* | */ && line.indexOf('|', line.indexOf('|') + 1) !== -1) return true;
  if ((last === ';' || last === '{' || last === '}') && /[=(){}]/.test(head)) return true;
  return opening.test(head) || line.length >= 12 ? letterShare(line) < 0.5 : false;
}

const letterSample = 400;

/** Letters among the visible characters of the first 400; scripts beyond ASCII count as letters. */
function letterShare(line: string): number {
  let letters = 0;
  let visible = 0;
  const length = Math.min(line.length, letterSample);
  for (let index = 0; index < length; index++) {
    const code = line.charCodeAt(index);
    if (code <= 0x20) continue;
    visible++;
    if ((code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || code > 0x7f) letters++;
  }
  return visible === 0 ? 1 : letters / visible;
}

const urlPattern = /(?:https?|ftp|wss?):\/\/[^\s<>"'`]+|\bwww\.[^\s<>"'`]+/g;
const codeSpanPattern = /`[^`]{1,200}`/g;
const markupPattern = /<[a-zA-Z/!][^<>]{0,200}>/g;

function maskInline(line: string): string {
  let masked = line;
  if (masked.includes('://') || masked.includes('www.'))
    masked = masked.replace(urlPattern, (match) => blank(match.length));
  if (masked.includes('`')) masked = masked.replace(codeSpanPattern, (match) => blank(match.length));
  if (masked.includes('<')) masked = masked.replace(markupPattern, (match) => blank(match.length));
  return masked;
}
