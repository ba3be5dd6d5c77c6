/** Below it a look at each character costs less than a call. */
const maxScanned = 32;

/** `JSON.stringify` of a string. */
export function jsonOfString(value: string): string {
  const { length } = value;
  if (length > maxScanned) return JSON.stringify(value);
  for (let index = 0; index < length; index++) {
    const code = value.charCodeAt(index);
    // Quote, backslash, control characters, and surrogates, which may stand alone (RFC 8259, 7; well-formed JSON.stringify).
    if (code < 0x20 || code === 0x22 || code === 0x5c || (code >= 0xd800 && code <= 0xdfff))
      return JSON.stringify(value);
  }
  return `"${value}"`;
}

/** `JSON.stringify` of a value inside another; undefined where it has none there, or one that depends on its place. */
export function jsonOf(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return jsonOfString(value);
    case 'number':
      return Number.isFinite(value) ? String(value) : 'null';
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      // `toJSON` is told the name of the property.
      if (value !== null && 'toJSON' in value) return undefined;
      return JSON.stringify(value);
    default:
      return undefined;
  }
}
