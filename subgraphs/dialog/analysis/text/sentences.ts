/** A half-open range of characters of the text it was found in. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Longer runs without an end are cut at the next space, or 100 characters later, so that no sentence costs much. */
export const maxSentenceChars = 1_000;

const abbreviations = new Set(
  'mr mrs ms dr prof sr jr st vs etc e.g i.e eg ie cf al approx no fig eq vol pp ch sec dept inc ltd co corp jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun'.split(
    ' ',
  ),
);

/**
 * Splits masked prose into sentences by rules: an end mark before white space, unless it ends an abbreviation, an
 * initial or a list number, or a lower-case letter follows; a line break, unless the next line goes on in lower case.
 * List and heading marks stay outside. Spans are disjoint and ascending. Linear.
 */
export function splitSentences(masked: string): Span[] {
  const spans: Span[] = [];
  let start = 0;
  let index = 0;
  while (index < masked.length) {
    const code = masked.charCodeAt(index);
    let end = -1;
    let next = index + 1;
    if (code === 0x0a) {
      if (breaksSentence(masked, index)) end = index;
    } else if (code === 0x2e || code === 0x21 || code === 0x3f || code === 0x2026) {
      next = endOfMarks(masked, index + 1);
      if (endsSentence(masked, start, index, next)) end = next;
    } else if (code === 0x3002 || code === 0xff01 || code === 0xff1f) {
      end = next;
    } else if (index - start >= maxSentenceChars && (isSpace(code) || index - start >= maxSentenceChars + 100)) {
      // Never between the halves of a surrogate pair.
      end = isLowSurrogate(code) ? next : index;
    }
    if (end !== -1) {
      pushTrimmed(spans, masked, start, end);
      start = end;
    }
    index = next;
  }
  pushTrimmed(spans, masked, start, masked.length);
  return spans;
}

function isSpace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d) || code === 0xa0 || code === 0x3000;
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}

function isLower(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0xdf && code <= 0xff && code !== 0xf7);
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** Past end marks and the quotes and brackets that close with them. */
function endOfMarks(text: string, from: number): number {
  let index = from;
  while (index < text.length && '.!?…"\')]}*_”’»'.includes(text.charAt(index))) index++;
  return index;
}

function breaksSentence(text: string, newline: number): boolean {
  let index = newline + 1;
  while (index < text.length && isSpace(text.charCodeAt(index)) && text.charCodeAt(index) !== 0x0a) index++;
  return index >= text.length || !isLower(text.charCodeAt(index));
}

function endsSentence(text: string, sentenceStart: number, mark: number, after: number): boolean {
  if (after < text.length && !isSpace(text.charCodeAt(after))) return false;
  if (text.charCodeAt(mark) !== 0x2e) return true;
  let next = after;
  while (next < text.length && next - after < 8 && isSpace(text.charCodeAt(next))) next++;
  if (next < text.length && isLower(text.charCodeAt(next))) return false;
  if (after > mark + 1) return true;
  let wordStart = mark;
  while (wordStart > sentenceStart && mark - wordStart < 12 && !isSpace(text.charCodeAt(wordStart - 1))) wordStart--;
  const word = text.slice(wordStart, mark).replace(/^[("'[]+/, '');
  if (abbreviations.has(word.toLowerCase())) return false;
  if (word.length === 1 && word !== 'I' && /[A-Z]/.test(word)) return false;
  return !(/^\d{1,3}$/.test(word) && text.slice(sentenceStart, wordStart).trim() === '');
}

function pushTrimmed(spans: Span[], text: string, from: number, to: number): void {
  let start = skipMarks(text, from, to);
  let end = to;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  if (end > start) spans.push({ start, end });
}

/** Past white space, `- `, `* `, `# `, `> ` and `12. ` or `3) ` at the beginning of a sentence. */
function skipMarks(text: string, from: number, to: number): number {
  let index = from;
  for (;;) {
    while (index < to && isSpace(text.charCodeAt(index))) index++;
    let ahead = index;
    while (ahead < to && ahead - index < 6 && '-*+#>•–—'.includes(text.charAt(ahead))) ahead++;
    if (ahead > index && ahead < to && isSpace(text.charCodeAt(ahead))) {
      index = ahead;
      continue;
    }
    ahead = index;
    while (ahead < to && ahead - index < 3 && isDigit(text.charCodeAt(ahead))) ahead++;
    if (ahead > index && ahead + 1 < to && '.)'.includes(text.charAt(ahead)) && isSpace(text.charCodeAt(ahead + 1))) {
      index = ahead + 1;
      continue;
    }
    return index;
  }
}
