import type { ErrorObject } from 'ajv';

/** One reason why an object, an event or a bundle is refused. */
export interface ProtocolViolation {
  /** JSON pointer into the object, `/` for the root. */
  path: string;
  /** The JSON-schema keyword that fails; `invariant` where a rule between objects does. */
  keyword: string;
  /** The missing, unknown or badly named property, where the keyword is about one. */
  property?: string;
  message: string;
  /** The id of the broken invariant. */
  invariant?: string;
}

const shownCharacters = 60;

/** A value as a message may quote it: short, whatever its size. */
export function shown(value: unknown): string {
  if (typeof value === 'string') {
    const head = JSON.stringify(value.slice(0, shownCharacters));
    return value.length > shownCharacters ? `${head}... (${value.length} characters)` : head;
  }
  if (value === undefined) return 'nothing';
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return `the number ${value}`;
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** A JSON pointer of path steps (RFC 6901), `/` for the root. */
export function pointer(steps: readonly (string | number)[]): string {
  if (steps.length === 0) return '/';
  return steps.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** What a validator of JSON schemas reported, as a violation that says expected and got. */
export function violationOf(error: ErrorObject): ProtocolViolation {
  const property = propertyOf(error);
  return {
    path: error.instancePath === '' ? '/' : error.instancePath,
    keyword: error.keyword,
    ...(property === undefined ? {} : { property }),
    message: messageOf(error, property),
  };
}

function propertyOf({ keyword, params }: ErrorObject): string | undefined {
  const name: unknown =
    keyword === 'required'
      ? params['missingProperty']
      : keyword === 'additionalProperties'
        ? params['additionalProperty']
        : undefined;
  return typeof name === 'string' ? name : undefined;
}

function messageOf(error: ErrorObject, property: string | undefined): string {
  const { params, data } = error;
  const title: unknown = error.parentSchema?.['title'];
  const got = shown(data);
  switch (error.keyword) {
    case 'required':
      return `expected the property ${shown(property)}, got none`;
    case 'additionalProperties':
      return `expected no property ${shown(property)} here, got one`;
    case 'type':
      return `expected ${params['type']}, got ${got}`;
    case 'enum':
      return `expected one of ${listed(params['allowedValues'])}, got ${got}`;
    case 'const':
      return `expected ${shown(params['allowedValue'])}, got ${got}`;
    case 'pattern':
      return `expected ${title ?? `text like ${params['pattern']}`}, got ${got}`;
    case 'format':
      return `expected ${title ?? params['format']}, got ${got}`;
    case 'minLength':
      return `expected at least ${params['limit']} character(s), got ${got}`;
    case 'minItems':
      return `expected at least ${params['limit']} item(s), got ${got}`;
    case 'minimum':
    case 'maximum':
      return `expected ${params['comparison']} ${params['limit']}, got ${got}`;
    case 'uniqueItems':
      return `expected different items, got equal ones at ${params['j']} and ${params['i']}`;
    case 'anyOf':
      return `expected one of the allowed forms, got ${got}`;
    default:
      return `expected ${error.message ?? error.keyword}, got ${got}`;
  }
}

function listed(values: unknown): string {
  return Array.isArray(values) ? values.map(String).join(', ') : shown(values);
}
