export interface BaggageEntry {
  readonly key: string;
  readonly value: string;
  /** Properties as they came, without a meaning of their own. */
  readonly properties: readonly string[];
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const maxBytes = 8_192;
const maxEntries = 64;

/** Reads a `baggage` header (W3C Baggage). Members that break its grammar are left out; null over its limits. */
export function parseBaggage(header: string): readonly BaggageEntry[] | null {
  if (Buffer.byteLength(header) > maxBytes) return null;
  const entries = new Map<string, BaggageEntry>();
  for (const member of header.split(',')) {
    const [pair, ...properties] = member.split(';').map((part) => part.trim());
    const at = pair!.indexOf('=');
    if (at < 1) continue;
    const key = pair!.slice(0, at).trim();
    const value = decoded(pair!.slice(at + 1).trim());
    if (token.test(key) && value !== null) entries.set(key, { key, value, properties });
  }
  return entries.size > maxEntries ? null : [...entries.values()];
}

export function formatBaggage(entries: readonly BaggageEntry[]): string {
  return entries
    .map(({ key, value, properties }) => [`${key}=${encodeURIComponent(value)}`, ...properties].join(';'))
    .join(',');
}

function decoded(value: string): string | null {
  try {
    return decodeURIComponent(value);
  } catch {
    return null;
  }
}
