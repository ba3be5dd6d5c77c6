import { Ajv, type ValidateFunction } from 'ajv';
import { LRUCache } from 'lru-cache';
import { PlatformError } from '#shared/errors.ts';

const ajv = () => new Ajv({ strict: false, allErrors: false, validateFormats: false, logger: false });
const known = new LRUCache<string, ValidateFunction>({ max: 200 });

/** Keywords whose work the schema's author decides: an expression may run for ever, a reference lead elsewhere. */
const refused = /"(?:pattern|patternProperties|\$ref|\$dynamicRef)":/;

/** @throws {VALIDATION_FAILED} where the schema is none, or has expressions or references */
export function createValidator(schema: Readonly<Record<string, unknown>>): (input: unknown) => void {
  const key = JSON.stringify(schema);
  let validate = known.get(key);
  if (!validate) {
    try {
      if (refused.test(key)) throw new Error('expected a schema without patterns and references');
      validate = ajv().compile(schema);
    } catch (error) {
      throw new PlatformError(
        'VALIDATION_FAILED',
        `inputSchema: ${error instanceof Error ? error.message.slice(0, 200) : 'expected a JSON Schema'}`,
        {
          path: ['input', 'definition', 'inputSchema'],
        },
      );
    }
    known.set(key, validate);
  }
  const check = validate;
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
