/** Every text that belongs to the watched tenant holds this word; nobody else ever sends it. */
export const secret = 'zqvkeptword';
/** Stands beside the secret, so that searches for it find the texts without naming the secret. */
export const findable = 'zqvfindword';

export const secretText = (name: string) => `${findable} ${secret} ${name}`;

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g;

export function uuidsIn(text: string): ReadonlySet<string> {
  return new Set(text.match(uuid) ?? []);
}

/** Cursors carry ids in base64, some as text and some as bytes. */
function decoded(text: string): string {
  const words = (text.match(/"[A-Za-z0-9_+/=-]{16,400}"/g) ?? []).map((word) =>
    Buffer.from(word.slice(1, -1), 'base64url'),
  );
  return words.map((bytes) => `${bytes.toString('latin1')} ${bytes.toString('hex')}`).join('\n');
}

/** Ids whose bytes stand in hexadecimal, wherever they begin. */
const bareUuid = /(?=([0-9a-f]{8})([0-9a-f]{4})(4[0-9a-f]{3})([89ab][0-9a-f]{3})([0-9a-f]{12}))/g;

/** What of the watched tenant an answer tells that was not in the request. */
export function leaksIn(answer: string, request: string, ids: ReadonlySet<string>): readonly string[] {
  const [hidden, sent] = [decoded(answer), `${request}\n${decoded(request)}`];
  const wasSent = (id: string) => sent.includes(id) || sent.includes(id.replaceAll('-', ''));
  const told = new Set(uuidsIn(`${answer}\n${hidden}`));
  for (const [, ...parts] of hidden.matchAll(bareUuid)) told.add(parts.join('-'));
  const leaked = [...told].filter((id) => ids.has(id) && !wasSent(id));
  return `${answer}${hidden}`.includes(secret) && !sent.includes(secret) ? [secret, ...leaked] : leaked;
}

/**
 * The size of a file that holds no rows. Rows name their positions, which the tenants of a database count together, and what
 * was measured: numbers of more digits or less. Of those it is compared that they are there, each of some bytes.
 */
function sizeOf(file: { readonly byteCount: unknown; readonly rowCount?: unknown }): unknown {
  const [bytes, rows] = [Number(file.byteCount), Number(file.rowCount ?? Number.NaN)];
  return rows > 0 && bytes > rows ? 'more bytes than rows' : file.byteCount;
}

/** An answer without what differs from call to call: ids by order of appearance, times, random texts. */
export function normalised(answer: unknown, replace: Readonly<Record<string, string>> = {}): string {
  let text = JSON.stringify(answer, function (this: unknown, key: string, value: unknown) {
    if (key === 'byteCount') return sizeOf(this as Parameters<typeof sizeOf>[0]);
    return typeof value === 'string' && /cursor|token|url|reference|traceparent/i.test(key) ? '~' : value;
  });
  for (const [from, to] of Object.entries(replace)) text = text.replaceAll(from, to);
  const seen = new Map<string, string>();
  return text
    .replace(uuid, (id) => {
      if (!seen.has(id)) seen.set(id, `#${seen.size}`);
      return seen.get(id)!;
    })
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, '@')
    .replace(/"([0-9a-f]{64}|[0-9a-f]{32})"/g, '"=')
    .replace(/(UnixNano":)"\d+"/g, '$1~')
    .replace(
      /("(durationMs|actualDurationMs|planningTimeMs|tookMs|executionTimeMs|cpuTimeMs|avgResponseTimeMs|maxResponseTimeMs|lifetimeUtilisation|evaluationTimeMs|latencyMs|revision|p\d+)":)[\d.e-]+/g,
      '$1~',
    );
}

/** Both texts around the place where they part. */
export function difference(one: string, two: string): string {
  let at = 0;
  while (at < one.length && one[at] === two[at]) at += 1;
  const around = (text: string) => text.slice(Math.max(0, at - 120), at + 180);
  return `\n    ${around(one)}\n    ${around(two)}`;
}

/** Every object of an answer that says its type and id. */
export function objectsIn(value: unknown): { __typename: string; id: string }[] {
  if (typeof value !== 'object' || value === null) return [];
  const inner = Object.values(value).flatMap(objectsIn);
  const { __typename: type, id } = value as { __typename?: unknown; id?: unknown };
  return typeof type === 'string' && typeof id === 'string' ? [{ __typename: type, id }, ...inner] : inner;
}
