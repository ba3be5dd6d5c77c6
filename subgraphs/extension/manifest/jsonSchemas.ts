import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { createLru } from '#shared/lru.ts';

/**
 * Keywords whose cost their author decides: regular expressions backtrack, references repeat what they name, and what
 * is unique is compared with everything. A schema that uses one is refused, so that judging runs outside a sandbox.
 */
const costly: ReadonlySet<string> = new Set([
  'pattern',
  'patternProperties',
  'format',
  'uniqueItems',
  'dependencies',
  '$ref',
  '$dynamicRef',
  '$recursiveRef',
  '$id',
  'id',
]);
const maxBranches = 50;

/** Verdicts by the schema's text: a release is read again at each start, and compiling is what costs (20 ms). */
const verdicts = createLru<{ readonly problem: string | null }>(5_000);

/** Why a draft-07 schema of a manifest cannot be used; null when it can. */
export function schemaProblem(schema: unknown): string | null {
  const text = JSON.stringify(schema);
  const known = verdicts.get(text);
  if (known) return known.problem;
  const problem = findProblem(schema);
  verdicts.set(text, { problem });
  return problem;
}

function findProblem(schema: unknown): string | null {
  let branches = 0;
  const visit = (node: unknown, isSchema: boolean): string | null => {
    if (Array.isArray(node)) {
      for (const item of node) {
        const problem = visit(item, isSchema);
        if (problem !== null) return problem;
      }
      return null;
    }
    if (typeof node !== 'object' || node === null) return null;
    for (const [name, value] of Object.entries(node)) {
      if (isSchema && costly.has(name)) return `the keyword ${name} is not allowed`;
      if (isSchema && ['anyOf', 'oneOf', 'allOf'].includes(name) && Array.isArray(value)) branches += value.length;
      if (branches > maxBranches) return `expected at most ${maxBranches} branches`;
      if (isSchema && (name === 'enum' || name === 'const' || name === 'default' || name === 'examples')) continue;
      // Below `properties` names are the author's own.
      const problem = visit(value, !(isSchema && (name === 'properties' || name === 'definitions')));
      if (problem !== null) return problem;
    }
    return null;
  };
  const problem = visit(schema, true);
  if (problem !== null) return problem;
  try {
    compile(schema as object);
    return null;
  } catch (error) {
    return `no JSON schema: ${error instanceof Error ? error.message : String(error)}`;
  }
}

const ajv = new Ajv({ strict: false, allErrors: false, validateSchema: true, addUsedSchema: false, messages: true });

/** One compiler for all: it knows the meta schema already, and forgets each schema at once. */
function compile(schema: object): ValidateFunction {
  try {
    return ajv.compile(schema);
  } finally {
    ajv.removeSchema(schema);
  }
}

const compiled = createLru<ValidateFunction>(2_000);

/** What is wrong with a value; null when it fits. `key` names the schema: it never changes under one. */
export function judge(key: string, schema: object, value: unknown): string | null {
  let validate = compiled.get(key);
  if (validate === undefined) {
    validate = compile(schema);
    compiled.set(key, validate);
  }
  if (validate(value)) return null;
  const [error] = validate.errors as ErrorObject[];
  validate.errors = null;
  return `${error!.instancePath || 'the value'} ${error!.message ?? 'does not fit'}`;
}

const acceptors = createLru<ValidateFunction>(500);

/** Whether a value fits a schema that may use anything but references; for schemas that nothing names. */
export function accepts(schema: object, value: unknown): boolean {
  const text = JSON.stringify(schema);
  let validate = acceptors.get(text);
  if (validate === undefined) {
    validate = compile(schema);
    acceptors.set(text, validate);
  }
  return validate(value);
}
