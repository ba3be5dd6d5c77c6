import {
  capability,
  compatibility,
  dependency,
  hook,
  hookScript,
  interfaceShape,
  manifestShape,
  method,
  resourceRequirements,
  runtimeRequirements,
  securityRequirements,
} from './shape.ts';

/** An object of a manifest: the keys it may have, and what objects lie under them, one each or in a list or by name. */
interface Known {
  readonly keys: readonly string[];
  readonly under?: Readonly<Record<string, Known>>;
  /** What lies under any key. */
  readonly each?: Known;
}

const of = (
  { shape }: { readonly shape: Readonly<Record<string, unknown>> },
  under?: Readonly<Record<string, Known>>,
): Known => ({ keys: Object.keys(shape), ...(under && { under }) });

const manifest = of(manifestShape, {
  runtime_requirements: of(runtimeRequirements),
  resource_requirements: of(resourceRequirements),
  security_requirements: of(securityRequirements),
  compatibility: of(compatibility),
  capabilities: of(capability, { interfaces: of(interfaceShape, { methods: of(method) }) }),
  dependencies: of(dependency),
  hooks: of(hook),
  // Whose keys are an enumeration: the shape refuses others.
  lifecycle_hooks: { keys: [], each: of(hookScript) },
});

/** Keys for whoever publishes, which nothing here reads. */
const isExtra = (key: string): boolean => key === 'meta' || key.startsWith('x-');
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export interface UnknownKey {
  readonly path: readonly (string | number)[];
  readonly message: string;
  readonly keyword: 'additionalProperties';
}

/** Keys that say nothing to anybody: misspelt ones among them, whose default would hold unsaid. */
export function unknownKeys(
  raw: unknown,
  known: Known = manifest,
  path: readonly (string | number)[] = [],
): UnknownKey[] {
  if (Array.isArray(raw)) return raw.flatMap((item, at) => unknownKeys(item, known, [...path, at]));
  if (!isObject(raw)) return [];
  return Object.entries(raw).flatMap(([key, value]): UnknownKey[] => {
    if (known.each !== undefined) return unknownKeys(value, known.each, [...path, key]);
    if (isExtra(key)) return [];
    if (!known.keys.includes(key))
      return [
        {
          ...{ path: [...path, key], keyword: 'additionalProperties' },
          message: `expected one of ${known.keys.join(', ')}, meta, or a key that begins with x-`,
        },
      ];
    const under = known.under && Object.hasOwn(known.under, key) ? known.under[key] : undefined;
    return under === undefined ? [] : unknownKeys(value, under, [...path, key]);
  });
}

/** What was read, with the keys of whoever published it. */
export function withExtras(raw: unknown, read: unknown): unknown {
  if (Array.isArray(raw) && Array.isArray(read)) return read.map((item, at) => withExtras(raw[at], item));
  if (!isObject(raw) || !isObject(read)) return read;
  return {
    ...Object.fromEntries(Object.entries(read).map(([key, value]) => [key, withExtras(raw[key], value)])),
    ...Object.fromEntries(Object.entries(raw).filter(([key]) => isExtra(key))),
  };
}
