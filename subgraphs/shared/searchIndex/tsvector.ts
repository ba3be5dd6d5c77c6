/** Words of a document and how often each stands in the fields D, C, B and A, packed. */
export interface DocumentTerms {
  readonly terms: readonly string[];
  readonly frequencies: readonly number[];
}

const quote = 39;
const backslash = 92;
const colon = 58;
const comma = 44;
const space = 32;
/** Shift of a class of words, by the letter behind a position; a position without one is of class D. */
const shifts: Readonly<Record<number, number>> = { 65: 24, 66: 16, 67: 8 };

/** Reads the text form of a tsvector: `'cat':3A 'fat':2,11C 'it''s':1`. */
export function parseTsvector(text: string): DocumentTerms {
  const terms: string[] = [];
  const frequencies: number[] = [];
  let at = 0;
  while (at < text.length) {
    if (text.charCodeAt(at) !== quote) throw new Error(`expected a quote at ${at} of a tsvector`);
    const word = readQuoted(text, at);
    at = word.end;
    let packed = 0;
    if (text.charCodeAt(at) === colon) {
      let shift = 0;
      for (at += 1; ; at += 1) {
        const code = at < text.length ? text.charCodeAt(at) : space;
        if (code === comma || code === space) {
          if (((packed >>> shift) & 255) < 255) packed += 2 ** shift;
          shift = 0;
          if (code === space) break;
        } else shift = shifts[code] ?? shift;
      }
    } else packed = 1;
    // One blank between words.
    at += 1;
    terms.push(word.value);
    frequencies.push(packed);
  }
  return { terms, frequencies };
}

/** A quoted lexeme from its opening quote on: quotes and backslashes in it are doubled. */
export function readQuoted(text: string, from: number): { readonly value: string; readonly end: number } {
  let end = from + 1;
  let escaped = false;
  for (; ; end += 1) {
    const code = text.charCodeAt(end);
    if (Number.isNaN(code)) throw new Error('a lexeme is not closed');
    if (code === quote || code === backslash) {
      if (text.charCodeAt(end + 1) === code) {
        escaped = true;
        end += 1;
      } else if (code === quote) break;
    }
  }
  const raw = text.slice(from + 1, end);
  return { value: escaped ? raw.replace(/''|\\\\/g, (pair) => pair[0]!) : raw, end: end + 1 };
}
