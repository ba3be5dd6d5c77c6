type WordArray = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** The array itself, or a copy with room for `length` elements and half as many again. */
export function withRoom<Words extends WordArray>(words: Words, length: number): Words {
  if (length <= words.length) return words;
  const Same = words.constructor as new (length: number) => Words;
  const larger = new Same(Math.max(64, Math.ceil(length * 1.5)));
  larger.set(words);
  return larger;
}

/** A string of its own: a part cut out of a long text would keep all of that text in memory. */
export function detached(text: string): string {
  return text.length < 13 ? text : Buffer.from(text).toString();
}

/** Bytes a string takes in a map or list, about: header, one byte a character, and its place there. */
export function stringBytes(text: string): number {
  return 64 + text.length;
}
