export type AttributeValue =
  | string
  | number
  | boolean
  | null
  | readonly AttributeValue[]
  | { readonly [key: string]: AttributeValue };
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** Limits of the OpenTelemetry SDK specification for a span. */
export const limits = {
  spansPerTrace: 1_000,
  attributes: 128,
  events: 128,
  links: 128,
  valueCharacters: 1_024,
} as const;

const secretKey = /password|passwd|secret|token|authorization|cookie|api[_.-]?key|private[_.-]?key|credential/i;
const mask = '***';

interface KeyValue {
  readonly key?: unknown;
  readonly value?: unknown;
}

/** Reads OTLP key-value pairs within the limits: what is over them is counted, values of secret keys are masked. */
export function readAttributes(pairs: unknown): { attributes: Attributes; dropped: number } {
  const attributes: Record<string, AttributeValue> = Object.create(null) as Record<string, AttributeValue>;
  if (!Array.isArray(pairs)) return { attributes, dropped: 0 };
  let kept = 0;
  let dropped = 0;
  for (const pair of pairs as readonly KeyValue[]) {
    const key = pair?.key;
    if (typeof key !== 'string' || key === '') continue;
    if (kept >= limits.attributes) {
      dropped += 1;
      continue;
    }
    kept += 1;
    attributes[storable(key)] = secretKey.test(key) ? mask : readAnyValue(pair.value, 0);
  }
  return { attributes, dropped };
}

/** An OTLP AnyValue as plain JSON; int64 beyond what a double holds stays text. */
export function readAnyValue(value: unknown, depth = 0): AttributeValue {
  if (typeof value !== 'object' || value === null || depth > 8) return null;
  const any = value as Record<string, unknown>;
  if (typeof any['stringValue'] === 'string') return storable(any['stringValue']);
  if (typeof any['boolValue'] === 'boolean') return any['boolValue'];
  const int = any['intValue'];
  if (typeof int === 'number' || typeof int === 'string') {
    const number = Number(int);
    return Number.isSafeInteger(number) ? number : storable(String(int));
  }
  const double = any['doubleValue'];
  // JSON has no NaN or infinity: protobuf's JSON writes them as text.
  if (typeof double === 'number') return Number.isFinite(double) ? double : String(double);
  if (typeof double === 'string') return storable(double);
  if (typeof any['bytesValue'] === 'string') return storable(any['bytesValue']);
  const array = any['arrayValue'] as { values?: unknown } | undefined;
  if (array !== undefined) {
    const values = Array.isArray(array?.values) ? array.values.slice(0, limits.attributes) : [];
    return values.map((item) => readAnyValue(item, depth + 1));
  }
  const list = any['kvlistValue'] as { values?: unknown } | undefined;
  if (list !== undefined)
    return (Array.isArray(list?.values) ? readAttributes(list.values).attributes : {}) as AttributeValue;
  return null;
}

/** Plain JSON, values of keys that look like secrets masked at any depth. */
export function maskSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(maskSecrets);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, secretKey.test(key) ? mask : maskSecrets(item)]),
  );
}

/** Text PostgreSQL keeps: within the length, without NUL or half a character. */
export function storable(text: string): string {
  const cut = text.length > limits.valueCharacters ? text.slice(0, limits.valueCharacters) : text;
  const clean = cut.includes('\0') ? cut.replaceAll('\0', '\ufffd') : cut;
  return clean.isWellFormed() ? clean : clean.toWellFormed();
}

/** Plain JSON as OTLP key-value pairs. */
export function writeAttributes(attributes: Attributes): { key: string; value: Record<string, unknown> }[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: writeAnyValue(value) }));
}

function writeAnyValue(value: AttributeValue): Record<string, unknown> {
  if (value === null) return {};
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number')
    return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  if (Array.isArray(value)) return { arrayValue: { values: (value as readonly AttributeValue[]).map(writeAnyValue) } };
  return { kvlistValue: { values: writeAttributes(value as Attributes) } };
}
