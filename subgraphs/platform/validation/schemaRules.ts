import type { Ajv, ErrorObject, ValidateFunction } from 'ajv';
import { jsonProblem } from '#shared/validation.ts';
import { patternProblem } from './patterns.ts';
import { isReferenceType, type Reference, referenceKeyword, referenceTypes } from './references.ts';

export const maxSchemaBytes = 65_536;
const maxDepth = 24;
const maxNodes = 2_000;
const maxBranches = 50;
/** Length that texts with a pattern may have, and arrays whose items are compared with each other. */
const maxPatternText = 1_024;
const maxUniqueItems = 1_000;

/** Keywords that lead elsewhere or repeat what they name. */
const refused: ReadonlySet<string> = new Set(['$ref', '$dynamicRef', '$recursiveRef', '$id', 'id', '$async', '$data']);
const formats: ReadonlySet<string> = new Set([
  'date',
  'time',
  'date-time',
  'uuid',
  'email',
  'uri',
  'ipv4',
  'ipv6',
  'hostname',
]);
const dialects: ReadonlySet<unknown> = new Set([
  undefined,
  'http://json-schema.org/draft-07/schema#',
  'http://json-schema.org/draft-07/schema',
]);
/** Below these the names are the author's own. */
const maps: ReadonlySet<string> = new Set(['properties', 'definitions', 'patternProperties', 'dependencies']);
/** These hold data. */
const values: ReadonlySet<string> = new Set(['enum', 'const', 'default', 'examples', 'required']);

export interface SchemaProblem {
  /** JSON pointer into the schema. */
  readonly path: string;
  readonly message: string;
}

/** Why a schema cannot be registered: what is none, and what could make a validation go on for long. */
export async function findSchemaProblems(document: unknown): Promise<readonly SchemaProblem[]> {
  const whole = (message: string) => [{ path: '/', message }];
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return whole('expected an object');
  const problem = jsonProblem(document, { maxBytes: maxSchemaBytes, maxDepth });
  if (problem !== null) return whole(problem);
  if (!dialects.has((document as Record<string, unknown>)['$schema'])) return whole('expected JSON Schema draft-07');
  const found = findCostly(document);
  if (found.length > 0) return found;
  const ajv = await compiler();
  if (!ajv.validateSchema(document)) {
    return (ajv.errors ?? []).slice(0, 20).map(({ instancePath, message }) => ({
      path: instancePath || '/',
      message: message ?? 'it is no schema',
    }));
  }
  try {
    compile(ajv, document);
    return [];
  } catch (error) {
    return whole((error as Error).message.slice(0, 300));
  }
}

function findCostly(document: object): readonly SchemaProblem[] {
  const problems: SchemaProblem[] = [];
  let [nodes, branches] = [0, 0];
  const tell = (path: string, message: string) => {
    if (problems.length < 20) problems.push({ path: path || '/', message });
  };
  const visit = (node: unknown, path: string, isSchema: boolean): void => {
    nodes += 1;
    if (Array.isArray(node)) {
      for (const [at, item] of node.entries()) visit(item, `${path}/${at}`, isSchema);
      return;
    }
    if (typeof node !== 'object' || node === null) return;
    const own = node as Readonly<Record<string, unknown>>;
    if (isSchema) checkKeywords(own, path);
    for (const [name, value] of Object.entries(own)) {
      const here = `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      if (isSchema && values.has(name)) continue;
      if (isSchema && ['anyOf', 'oneOf', 'allOf'].includes(name) && Array.isArray(value)) branches += value.length;
      visit(value, here, !(isSchema && maps.has(name)));
    }
  };
  const checkKeywords = (node: Readonly<Record<string, unknown>>, path: string): void => {
    for (const name of Object.keys(node)) if (refused.has(name)) tell(`${path}/${name}`, 'this keyword is not allowed');
    const { pattern, format, maxLength, uniqueItems, maxItems, patternProperties } = node;
    if (typeof pattern === 'string') {
      const problem = patternProblem(pattern);
      if (problem !== null) tell(`${path}/pattern`, problem);
      if (typeof maxLength !== 'number' || maxLength > maxPatternText)
        tell(`${path}/maxLength`, `expected at most ${maxPatternText} beside a pattern`);
    }
    for (const text of Object.keys((patternProperties as object | null | undefined) ?? {})) {
      const problem = patternProblem(text);
      if (problem !== null) tell(`${path}/patternProperties`, problem);
    }
    if (Object.hasOwn(node, referenceKeyword) && !isReferenceType(node[referenceKeyword]))
      tell(`${path}/${referenceKeyword}`, `expected one of ${referenceTypes.join(', ')}`);
    if (format !== undefined && !formats.has(String(format)))
      tell(`${path}/format`, `expected one of ${[...formats].join(', ')}`);
    if (uniqueItems === true && (typeof maxItems !== 'number' || maxItems > maxUniqueItems))
      tell(`${path}/maxItems`, `expected at most ${maxUniqueItems} beside uniqueItems`);
  };
  visit(document, '', true);
  if (nodes > maxNodes) tell('/', `expected at most ${maxNodes} values in a schema, got ${nodes}`);
  if (branches > maxBranches) tell('/', `expected at most ${maxBranches} branches, got ${branches}`);
  return problems;
}

/** Notes what a text refers to; whether it is there is looked for once all else holds. */
function noteReference(
  this: Reference[] | undefined,
  type: unknown,
  id: string,
  _schema: unknown,
  place?: { readonly instancePath: string },
): boolean {
  if (isReferenceType(type)) this?.push({ type, id, path: place?.instancePath ?? '' });
  return true;
}

let compilers: Promise<Readonly<Record<'plain' | 'coercing' | 'removing' | 'both', Ajv>>> | null = null;

/** Made when the first schema comes: few tenants have any. */
function openCompilers() {
  compilers ??= Promise.all([import('ajv'), import('ajv-formats')]).then(
    ([{ Ajv: Compiler }, { default: addFormats }]) => {
      // The context is where references are noted: a list of each validation's own.
      const options = {
        passContext: true,
        strict: false,
        allErrors: true,
        validateSchema: true,
        addUsedSchema: false,
      } as const;
      const [plain, coercing, removing, both] = [
        new Compiler(options),
        new Compiler({ ...options, coerceTypes: true, useDefaults: true }),
        new Compiler({ ...options, removeAdditional: true }),
        new Compiler({ ...options, coerceTypes: true, useDefaults: true, removeAdditional: true }),
      ] as const;
      for (const one of [plain, coercing, removing, both]) {
        (addFormats as unknown as (ajv: Ajv, options: object) => void)(one, { mode: 'fast', formats: [...formats] });
        one.addKeyword({
          keyword: referenceKeyword,
          type: 'string',
          schemaType: 'string',
          errors: false,
          validate: noteReference,
        });
      }
      return { plain, coercing, removing, both };
    },
  );
  return compilers;
}

export interface DataChanges {
  /** Turns texts into numbers and fills in defaults. */
  readonly coerce: boolean;
  /** Leaves out what the schema does not name where it allows nothing more. */
  readonly removeUnknown: boolean;
}

async function compiler(
  { coerce, removeUnknown }: DataChanges = { coerce: false, removeUnknown: false },
): Promise<Ajv> {
  const { plain, coercing, removing, both } = await openCompilers();
  if (removeUnknown) return coerce ? both : removing;
  return coerce ? coercing : plain;
}

/** A validator of its own; the compiler forgets the schema at once. */
function compile(ajv: Ajv, document: object): ValidateFunction {
  try {
    return ajv.compile(document);
  } finally {
    ajv.removeSchema(document);
  }
}

/** Compiles a schema that was found without problems. What it changes it changes in place. */
export async function compileSchema(document: object, changes: DataChanges): Promise<ValidateFunction> {
  return compile(await compiler(changes), document);
}

export interface DataError {
  readonly path: string;
  readonly keyword: string;
  readonly message: string;
  readonly params: Readonly<Record<string, unknown>>;
}

export function toDataErrors(errors: readonly ErrorObject[] | null | undefined): readonly DataError[] {
  return (errors ?? []).slice(0, 100).map(({ instancePath, keyword, message, params }) => ({
    path: instancePath || '/',
    keyword,
    message: message ?? 'it does not fit',
    params: params as Record<string, unknown>,
  }));
}
