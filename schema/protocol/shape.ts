/** A JSON schema (draft-07) fragment as plain data. */
export type JsonSchema = { readonly [keyword: string]: unknown };

declare const documentType: unique symbol;

/** A schema that remembers the TypeScript type of the documents it accepts. */
export interface Shape<T> {
  readonly schema: JsonSchema;
  readonly [documentType]?: T;
}

/** A property that may be absent; null is never absence in the protocol. */
export interface Optional<T> {
  readonly optional: Shape<T>;
}

/** The document type of a shape. */
export type DocumentOf<S> = S extends Shape<infer T> ? T : never;

type Properties = { readonly [name: string]: Shape<unknown> | Optional<unknown> };
type OptionalNames<P> = { [K in keyof P]: P[K] extends Optional<unknown> ? K : never }[keyof P];
type Flat<T> = { [K in keyof T]: T[K] };
type PropertiesOf<P> = Flat<
  { [K in Exclude<keyof P, OptionalNames<P>>]: DocumentOf<P[K]> } & {
    [K in OptionalNames<P>]?: P[K] extends Optional<infer T> ? T : never;
  }
>;

/** Any JSON object, as it stands in the protocol's free-form slots. */
export type JsonObject = { [key: string]: unknown };

/** A string, with optional bounds: `min` in characters, `pattern` and `format` as draft-07 names them. */
export function text(rule: { min?: number; pattern?: string; format?: string; title?: string } = {}): Shape<string> {
  const { min, ...rest } = rule;
  return { schema: { type: 'string', ...rest, ...(min === undefined ? {} : { minLength: min }) } };
}

/** One of the listed words. */
export function word<const W extends string>(...words: readonly W[]): Shape<W> {
  return { schema: { type: 'string', enum: words } };
}

/** A whole number, at least `min` when given. */
export function whole(min?: number): Shape<number> {
  return { schema: { type: 'integer', ...(min === undefined ? {} : { minimum: min }) } };
}

/** A number inside inclusive bounds. */
export function number(min: number, max?: number): Shape<number> {
  return { schema: { type: 'number', minimum: min, ...(max === undefined ? {} : { maximum: max }) } };
}

export const flag: Shape<boolean> = { schema: { type: 'boolean' } };

/** An object whose content is the client's own. */
export const freeForm: Shape<JsonObject> = { schema: { type: 'object' } };

/** A list of one kind, with a least length and optionally no equal items. */
export function list<T>(item: Shape<T>, rule: { min?: number; unique?: boolean } = {}): Shape<T[]> {
  return {
    schema: {
      type: 'array',
      items: item.schema,
      ...(rule.min === undefined ? {} : { minItems: rule.min }),
      ...(rule.unique ? { uniqueItems: true } : {}),
    },
  };
}

/** The same object or null. */
export function nullable<T>(shape: Shape<T>): Shape<T | null> {
  return { schema: { anyOf: [shape.schema, { type: 'null' }] } };
}

export function optional<T>(shape: Shape<T>): Optional<T> {
  return { optional: shape };
}

/** An object with exactly the named properties. */
export function closed<P extends Properties>(properties: P): Shape<PropertiesOf<P>> {
  return { schema: { ...objectSchema(properties), additionalProperties: false } };
}

/** An object with the named properties and any others. */
export function open<P extends Properties>(properties: P): Shape<PropertiesOf<P> & JsonObject> {
  return { schema: objectSchema(properties) };
}

function objectSchema(properties: Properties): JsonSchema {
  const schemas: { [name: string]: JsonSchema } = {};
  const required: string[] = [];
  for (const [name, property] of Object.entries(properties)) {
    if ('optional' in property) schemas[name] = property.optional.schema;
    else {
      schemas[name] = property.schema;
      required.push(name);
    }
  }
  return { type: 'object', properties: schemas, ...(required.length > 0 ? { required } : {}) };
}
