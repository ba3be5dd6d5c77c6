export interface TracestateEntry {
  readonly key: string;
  readonly value: string;
}

const keyForm = /^(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})$/;
const valueForm = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;
const maxEntries = 32;

/** Reads a `tracestate` (W3C Trace Context); null where one entry breaks it, for then all of it is to be discarded. */
export function parseTracestate(header: string): readonly TracestateEntry[] | null {
  const entries: TracestateEntry[] = [];
  const seen = new Set<string>();
  for (const member of header.split(',')) {
    const trimmed = member.replace(/^[ \t]+|[ \t]+$/g, '');
    if (trimmed === '') continue;
    const at = trimmed.indexOf('=');
    const key = trimmed.slice(0, at);
    const value = trimmed.slice(at + 1);
    if (at < 1 || !keyForm.test(key) || !valueForm.test(value) || seen.has(key)) return null;
    seen.add(key);
    entries.push({ key, value });
    if (entries.length > maxEntries) return null;
  }
  return entries;
}

export function formatTracestate(entries: readonly TracestateEntry[]): string {
  return entries.map(({ key, value }) => `${key}=${value}`).join(',');
}
