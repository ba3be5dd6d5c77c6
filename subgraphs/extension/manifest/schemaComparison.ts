import { isDeepStrictEqual } from 'node:util';
import { accepts } from './jsonSchemas.ts';

type Schema = Readonly<Record<string, unknown>>;
type Type = 'array' | 'boolean' | 'integer' | 'null' | 'number' | 'object' | 'string';

/** Say nothing about which values fit, by themselves or because they are looked at with the keyword that they go with. */
const silent: ReadonlySet<string> = new Set([
  ...['$schema', '$comment', 'title', 'description', 'default', 'examples', 'readOnly', 'writeOnly', 'definitions'],
  ...['nullable', 'then', 'else', 'additionalItems', 'allOf'],
]);
const allTypes: readonly Type[] = ['array', 'boolean', 'null', 'number', 'object', 'string'];
/** Comparisons of parts; what takes more counts as not comparable. */
const maxSteps = 5_000;
/** Schemas of few values that are tried one by one: each is compiled. */
const maxTried = 30;

const isObject = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const toSchema = (schema: unknown): Schema => (isObject(schema) ? schema : schema === false ? { not: {} } : {});
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const at = (schema: unknown, name: string): unknown =>
  isObject(schema) && Object.hasOwn(schema, name) ? schema[name] : undefined;
const numberAt = (schema: Schema, name: string): number | null => {
  const value = at(schema, name);
  return typeof value === 'number' ? value : null;
};

function typesOf(schema: Schema): readonly Type[] {
  const { type, nullable } = schema;
  if (type === undefined) return allTypes;
  const named = (Array.isArray(type) ? type : [type]) as readonly Type[];
  return nullable === true && !named.includes('null') ? [...named, 'null'] : named;
}

/** All values that could fit, where they are few; null where they are not counted. */
function valuesOf(schema: Schema): readonly unknown[] | null {
  if (Object.hasOwn(schema, 'const')) return [schema['const']];
  if (Array.isArray(schema['enum'])) return schema['enum'];
  const types = typesOf(schema);
  if (!types.every((type) => type === 'null' || type === 'boolean')) return null;
  return types.flatMap((type) => (type === 'null' ? [null] : [true, false]));
}

/** What a value has to fit all of. */
const conjuncts = (schema: Schema): readonly Schema[] => [
  schema,
  ...listOf(at(schema, 'allOf')).flatMap((branch) => conjuncts(toSchema(branch))),
];

/** A bound from below or above, and whether it is itself outside. */
function boundOf(schema: Schema, side: 'Minimum' | 'Maximum'): { value: number; isOpen: boolean } | null {
  const closed = numberAt(schema, side === 'Minimum' ? 'minimum' : 'maximum');
  const open = numberAt(schema, `exclusive${side}`);
  if (open === null) return closed === null ? null : { value: closed, isOpen: false };
  const isTighter = closed === null || (side === 'Minimum' ? open >= closed : open <= closed);
  return isTighter ? { value: open, isOpen: true } : { value: closed, isOpen: false };
}

/**
 * Where values that fit `narrow` may not fit `wide`, by a path and a keyword; null where all do. Sound and not complete:
 * what is not understood (other patterns, references, alternatives) counts as different, so that null can be relied upon.
 */
export function findNarrowing(narrow: unknown, wide: unknown): string | null {
  if (isDeepStrictEqual(narrow ?? {}, wide ?? {})) return null;
  // What a reference leads to may have changed though its own text has not.
  if ([narrow, wide].some((schema) => /"\$(ref|id|dynamicRef|recursiveRef)":/.test(JSON.stringify(schema ?? {}))))
    return '$ref';
  let steps = 0;
  let tried = 0;

  function compare(one: unknown, other: unknown, path: string): string | null {
    steps += 1;
    if (steps > maxSteps) return `${path}: more than can be compared`;
    if (other === true || other === undefined || one === false || isDeepStrictEqual(one, other)) return null;
    const [a, b] = [toSchema(one), toSchema(other)];
    const direct = implied(a, b, path);
    if (direct === null) return null;
    for (const keyword of ['anyOf', 'oneOf'] as const) {
      const { [keyword]: branches, ...rest } = a;
      if (!Array.isArray(branches)) continue;
      if (branches.every((branch) => compare({ allOf: [rest, branch] }, b, path) === null)) return null;
    }
    const types = typesOf(a);
    if (types.length < 2 || a['type'] === undefined || steps > maxSteps) return direct;
    const { nullable: _nullable, ...rest } = a;
    return types.every((type) => compare({ ...rest, type }, b, path) === null) ? null : direct;
  }

  /** Whether each keyword of `b` follows from something that `a` says. */
  function implied(a: Schema, b: Schema, path: string): string | null {
    const parts = conjuncts(a);
    for (const part of conjuncts(b))
      for (const keyword of Object.keys(part)) {
        if (silent.has(keyword)) continue;
        const problems = parts.map((one) => followed(keyword, one, part, path));
        if (!problems.includes(null)) return isEachTaken(a, b) ? null : problems[0]!;
      }
    return null;
  }

  /** Where only a few values can fit, whether each that does is taken. */
  function isEachTaken(a: Schema, b: Schema): boolean {
    const few = conjuncts(a)
      .map(valuesOf)
      .find((values) => values !== null);
    if (few == null) return false;
    tried += 1;
    return tried <= maxTried && few.every((value) => !accepts(a, value) || accepts(b, value));
  }

  function followed(keyword: string, a: Schema, b: Schema, path: string): string | null {
    const problem = `${path === '' ? '' : `${path}: `}${keyword}`;
    const when = (isTrue: boolean) => (isTrue ? null : problem);
    const types = typesOf(a);
    const concerns = (...named: readonly Type[]) => types.some((type) => named.includes(type));
    const isTighter = (name: string, sign: 1 | -1) => {
      const [own, bound] = [numberAt(a, name), numberAt(b, name)];
      return bound === null || (own !== null && sign * (own - bound) >= 0);
    };
    switch (keyword) {
      case 'type': {
        const taken = typesOf(b);
        return when(types.every((type) => taken.includes(type) || (type === 'integer' && taken.includes('number'))));
      }
      case 'enum':
      case 'const': {
        const taken = keyword === 'const' ? [b[keyword]] : listOf(b[keyword]);
        const values = valuesOf(a);
        return when(values?.every((value) => taken.some((one) => isDeepStrictEqual(one, value))) ?? false);
      }
      case 'minimum':
      case 'exclusiveMinimum':
      case 'maximum':
      case 'exclusiveMaximum': {
        if (!concerns('number', 'integer')) return null;
        const side = keyword.toLowerCase().endsWith('minimum') ? 'Minimum' : 'Maximum';
        const [own, bound] = [boundOf(a, side), boundOf(b, side)];
        if (bound === null) return null;
        if (own === null) return problem;
        const room = side === 'Minimum' ? own.value - bound.value : bound.value - own.value;
        return when(room > 0 || (room === 0 && (own.isOpen || !bound.isOpen)));
      }
      case 'multipleOf': {
        if (!concerns('number', 'integer')) return null;
        const [own, of] = [numberAt(a, 'multipleOf'), numberAt(b, 'multipleOf')];
        if (own === of || (of === 1 && !concerns('number'))) return null;
        return when(Number.isSafeInteger(own) && Number.isSafeInteger(of) && own! % of! === 0);
      }
      case 'minLength':
        return concerns('string') ? when(isTighter(keyword, 1) || b[keyword] === 0) : null;
      case 'maxLength':
        return concerns('string') ? when(isTighter(keyword, -1)) : null;
      case 'minItems':
        return concerns('array') ? when(isTighter(keyword, 1) || b[keyword] === 0) : null;
      case 'maxItems':
        return concerns('array') ? when(isTighter(keyword, -1)) : null;
      case 'uniqueItems':
        return concerns('array') && b[keyword] === true
          ? when(a[keyword] === true || (numberAt(a, 'maxItems') ?? 2) < 2)
          : null;
      case 'minProperties':
        return concerns('object')
          ? when(isTighter(keyword, 1) || new Set(listOf(at(a, 'required'))).size >= Number(b[keyword]))
          : null;
      case 'maxProperties':
        return concerns('object') ? when(isTighter(keyword, -1)) : null;
      case 'required':
        return concerns('object')
          ? when(listOf(b[keyword]).every((name) => listOf(at(a, 'required')).includes(name)))
          : null;
      case 'properties':
      case 'additionalProperties':
        return concerns('object') ? ofProperties(a, b, { path, problem }) : null;
      case 'propertyNames':
        return concerns('object') ? compare(at(a, keyword) ?? true, b[keyword], path) : null;
      case 'items':
        return concerns('array') ? ofItems(a, b, path) : null;
      case 'contains':
        // Beside a tuple Ajv takes an empty list, whatever it should contain.
        if (Array.isArray(a['items'])) return concerns('array') ? problem : null;
        return concerns('array') ? (Object.hasOwn(a, keyword) ? compare(a[keyword], b[keyword], path) : problem) : null;
      case 'anyOf':
        if (isDeepStrictEqual(at(a, keyword), b[keyword])) return null;
        return when(listOf(b[keyword]).some((branch) => compare(a, branch, path) === null));
      case 'not':
        return Object.hasOwn(a, keyword) ? compare(b[keyword], a[keyword], path) : problem;
      case 'if':
        return when(['if', 'then', 'else'].every((name) => isDeepStrictEqual(at(a, name), at(b, name))));
      default:
        return when(Object.hasOwn(a, keyword) && isDeepStrictEqual(a[keyword], b[keyword]));
    }
  }

  function ofProperties(a: Schema, b: Schema, { path, problem }: { path: string; problem: string }): string | null {
    if (Object.hasOwn(a, 'patternProperties') || Object.hasOwn(b, 'patternProperties')) return problem;
    const rest = (schema: Schema) => at(schema, 'additionalProperties') ?? true;
    const schemaUnder = (schema: Schema, name: string) => at(at(schema, 'properties'), name) ?? rest(schema);
    const names = new Set([a, b].flatMap((schema) => Object.keys(toSchema(at(schema, 'properties')))));
    for (const name of names) {
      const found = compare(schemaUnder(a, name), schemaUnder(b, name), path === '' ? name : `${path}.${name}`);
      if (found !== null) return found;
    }
    return compare(rest(a), rest(b), path === '' ? '*' : `${path}.*`);
  }

  function ofItems(a: Schema, b: Schema, path: string): string | null {
    const itemOf = (schema: Schema, index: number): unknown => {
      const items = at(schema, 'items') ?? true;
      if (!Array.isArray(items)) return items;
      return index < items.length ? items[index] : (at(schema, 'additionalItems') ?? true);
    };
    // Behind the last one that has a schema of its own all are alike.
    const last = Math.max(...[a, b].map((schema) => (Array.isArray(schema['items']) ? schema['items'].length : 0)));
    for (let index = 0; index <= last && index < (numberAt(a, 'maxItems') ?? Number.POSITIVE_INFINITY); index += 1) {
      const found = compare(itemOf(a, index), itemOf(b, index), `${path}[${index === last ? '' : index}]`);
      if (found !== null) return found;
    }
    return null;
  }

  return compare(narrow ?? {}, wide ?? {}, '');
}
