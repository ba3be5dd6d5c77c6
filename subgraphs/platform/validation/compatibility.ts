import { referenceKeyword } from './references.ts';

export interface SchemaChange {
  /** JSON pointer into the data. */
  readonly path: string;
  readonly message: string;
  /** Data that the old schema takes may be refused by the new one. */
  readonly breaking: boolean;
}

type Schema = Readonly<Record<string, unknown>>;

const asSchema = (value: unknown): Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Schema) : {};
const listOf = (value: unknown): readonly unknown[] | null =>
  value === undefined ? null : Array.isArray(value) ? value : [value];
const sameJson = (one: unknown, two: unknown) => JSON.stringify(one) === JSON.stringify(two);

/** Bounds, and whether less of one is stricter. */
const lower = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties'] as const;
const upper = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties'] as const;
/** Compared as they stand: where they differ nobody can say what is refused. */
const opaque = [
  'pattern',
  'format',
  'multipleOf',
  'uniqueItems',
  'anyOf',
  'oneOf',
  'allOf',
  'not',
  'if',
  'then',
  'else',
  'patternProperties',
  'propertyNames',
  'contains',
  'dependencies',
  'const',
  referenceKeyword,
] as const;

/** What a new schema changes for whoever writes data by the old one. */
export function compareSchemas(before: unknown, after: unknown, path = ''): readonly SchemaChange[] {
  if (sameJson(before, after)) return [];
  const [old, next] = [asSchema(before), asSchema(after)];
  const changes: SchemaChange[] = [];
  const tell = (message: string, breaking: boolean, at = path) => changes.push({ path: at || '/', message, breaking });
  compareTypes(old, next, tell);
  compareEnums(old, next, tell);
  for (const name of lower) {
    const [from, to] = [old[name] as number | undefined, next[name] as number | undefined];
    if (from !== to)
      tell(`${name}: ${from ?? 'none'} -> ${to ?? 'none'}`, to !== undefined && (from === undefined || to > from));
  }
  for (const name of upper) {
    const [from, to] = [old[name] as number | undefined, next[name] as number | undefined];
    if (from !== to)
      tell(`${name}: ${from ?? 'none'} -> ${to ?? 'none'}`, to !== undefined && (from === undefined || to < from));
  }
  for (const name of opaque)
    if (!sameJson(old[name], next[name])) tell(`${name} has changed`, next[name] !== undefined);
  const [required, requiredNext] = [listOf(old['required']) ?? [], listOf(next['required']) ?? []];
  for (const name of requiredNext) if (!required.includes(name)) tell(`${String(name)} is required now`, true);
  for (const name of required)
    if (!requiredNext.includes(name)) tell(`${String(name)} is not required any more`, false);
  const [properties, propertiesNext] = [asSchema(old['properties']), asSchema(next['properties'])];
  const [openBefore, openNext] = [old['additionalProperties'] !== false, next['additionalProperties'] !== false];
  if (openBefore !== openNext) tell(`additionalProperties: ${openBefore} -> ${openNext}`, !openNext);
  else if (!sameJson(old['additionalProperties'], next['additionalProperties']))
    tell('additionalProperties has changed', true);
  for (const name of new Set([...Object.keys(properties), ...Object.keys(propertiesNext)])) {
    const here = `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (!Object.hasOwn(propertiesNext, name)) tell(`${name} is not described any more`, !openNext, here);
    // What was anything before has a rule now.
    else if (!Object.hasOwn(properties, name))
      tell(`${name} is described now`, openBefore && !sameJson(propertiesNext[name], {}), here);
    else changes.push(...compareSchemas(properties[name], propertiesNext[name], here));
  }
  if (Array.isArray(old['items']) || Array.isArray(next['items'])) {
    if (!sameJson(old['items'], next['items'])) tell('items has changed', true);
  } else changes.push(...compareSchemas(old['items'] ?? {}, next['items'] ?? {}, `${path}/*`));
  return changes;
}

function compareTypes(old: Schema, next: Schema, tell: (message: string, breaking: boolean) => void): void {
  const [from, to] = [listOf(old['type']), listOf(next['type'])];
  if (sameJson(from, to)) return;
  const takes = (type: unknown) => to === null || to.includes(type) || (type === 'integer' && to.includes('number'));
  const breaking = to !== null && (from === null || !from.every(takes));
  tell(`type: ${from?.join(' or ') ?? 'any'} -> ${to?.join(' or ') ?? 'any'}`, breaking);
}

function compareEnums(old: Schema, next: Schema, tell: (message: string, breaking: boolean) => void): void {
  const [from, to] = [listOf(old['enum']), listOf(next['enum'])];
  if (sameJson(from, to)) return;
  const lost = to === null ? [] : (from ?? []).filter((value) => !to.some((other) => sameJson(value, other)));
  if (to !== null && from === null) tell('enum: any -> some', true);
  else
    tell(lost.length > 0 ? `enum has lost ${JSON.stringify(lost).slice(0, 100)}` : 'enum takes more', lost.length > 0);
}
