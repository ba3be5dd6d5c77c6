/**
 * Head of an unmasked, unfragmented text frame of `length` bytes (RFC 6455, 5.2), a character for each byte as the encoding
 * latin1 writes them.
 */
export function textFrameHead(length: number): string {
  if (length < 126) return String.fromCharCode(0x81, length);
  if (length < 65_536) return String.fromCharCode(0x81, 126, length >>> 8, length & 0xff);
  const [a, b, c, d] = [length >>> 24, (length >>> 16) & 0xff, (length >>> 8) & 0xff, length & 0xff];
  return String.fromCharCode(0x81, 127, 0, 0, 0, 0, a, b, c, d);
}
