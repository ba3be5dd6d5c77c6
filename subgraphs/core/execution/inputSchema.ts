import { Ajv, type ValidateFunction } from 'ajv';
import { LRUCache } from 'lru-cache';
import { PlatformError } from '#shared/errors.ts';

const ajv = () => new Ajv({ strict: false, allErrors: false, validateFormats: false, logger: false });
const known = new LRUCache<string, ValidateFunction>({ max: 200 });

/** Keywords whose work the schema's author decides: an expression may run for ever, a reference lead elsewhere. */
const refused = /"(?:pattern|patternProperties|\$ref|\$dynamicRef)":/;

type Schema = Readonly<Record<string, unknown>>;

/** @throws {VALIDATION_FAILED} where the schema is none, or has expressions or references */
export function compileSchema(schema: Schema, name: 'inputSchema' | 'outputSchema'): ValidateFunction {
  const key = JSON.stringify(schema);
  let validate = known.get(key);
  if (!validate) {
    try {
      if (refused.test(key)) throw new Error('expected a schema without patterns and references');
      validate = ajv().compile(schema);
    } catch (error) {
      throw new PlatformError(
        'VALIDATION_FAILED',
        `${name}: ${error instanceof Error ? error.message.slice(0, 200) : 'expected a JSON Schema'}`,
        {
          path: ['input', 'definition', name],
        },
      );
    }
    known.set(key, validate);
  }
  return validate;
}

/** What keeps a result from being what the workflow says it answers; null where nothing does. */
export function outputProblem(schema: Schema, output: unknown): string | null {
  const check = compileSchema(schema, 'outputSchema');
  if (check(output)) return null;
  const [first] = check.errors ?? [];
  const place = first?.instancePath.split('/').slice(1) ?? [];
  return `output${place.map((part) => `.${part}`).join('')}: ${first?.message ?? 'does not fit'}`;
}

/** @throws {VALIDATION_FAILED} where the schema is none, and of what it answers where the input does not fit */
export function createValidator(schema: Schema): (input: unknown) => void {
  const check = compileSchema(schema, 'inputSchema');
  return (input) => {
    if (check(input)) return;
    const [first] = check.errors ?? [];
    const place = first?.instancePath.split('/').slice(1) ?? [];
    throw new PlatformError(
      'VALIDATION_FAILED',
      `input.input${place.map((part) => `.${part}`).join('')}: ${first?.message ?? 'does not fit'}`,
      {
        path: ['input', 'input', ...place],
      },
    );
  };
}
