/** Every text that belongs to the watched tenant holds this word; nobody else ever sends it. */
export const secret = 'zqvkeptword';
/** Stands beside the secret, so that searches for it find the texts without naming the secret. */
export const findable = 'zqvfindword';

export const secretText = (name: string) => `${findable} ${secret} ${name}`;

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g;

export function uuidsIn(text: string): ReadonlySet<string> {
  return new Set(text.match(uuid) ?? []);
}

/** Cursors carry ids in base64: what they say in plain text beside the text itself. */
function unfolded(text: string): string {
  const decoded = (text.match(/"[A-Za-z0-9_+/=-]{16,}"/g) ?? []).map((word) => Buffer.from(word.slice(1, -1), 'base64url').toString('latin1'));
  return [text, ...decoded].join('\n');
}

/** What of the watched tenant an answer tells that was not in the request. */
export function leaksIn(answer: string, request: string, ids: ReadonlySet<string>): readonly string[] {
  const told = unfolded(answer);
  const sent = unfolded(request);
  const leaked = [...uuidsIn(told)].filter((id) => ids.has(id) && !sent.includes(id));
  return told.includes(secret) ? [secret, ...leaked] : leaked;
}

/** An answer without what differs from call to call: ids by order of appearance, times, random texts. */
export function normalised(answer: unknown, replace: Readonly<Record<string, string>> = {}): string {
  let text = JSON.stringify(answer, (key, value: unknown) => (typeof value === 'string' && /cursor|token|url|reference/i.test(key) ? '~' : value));
  for (const [from, to] of Object.entries(replace)) text = text.replaceAll(from, to);
  const seen = new Map<string, string>();
  return text
    .replace(uuid, (id) => {
      if (!seen.has(id)) seen.set(id, `#${seen.size}`);
      return seen.get(id)!;
    })
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, '@')
    .replace(/"[0-9a-f]{64}"/g, '"=')
    .replace(/("(durationMs|lifetimeUtilisation|p\d+)":)[\d.e-]+/g, '$1~');
}
