import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { createSchemas } from '../validation/schemas.ts';
import type { HoldTo } from './entries.ts';

export interface SchemaHolder {
  readonly schemas: Pick<ReturnType<typeof createSchemas>, 'validate'>;
}

const refPattern = /^([A-Za-z][\w.-]{0,254})(?:@([1-9]\d{0,8}))?$/;

/** Holds values of the configuration to registered schemas of the caller's tenant. */
export function createHoldTo(schemas: SchemaHolder['schemas']): HoldTo {
  return async (scope: RequestScope, schemaRef: string, value: unknown) => {
    const refuse = (message: string, path: string): never => {
      throw new PlatformError('VALIDATION_FAILED', message, { path: ['input', path] });
    };
    const [, name, version] =
      refPattern.exec(schemaRef) ?? refuse('expected name or name@version of a schema', 'schemaRef');
    const asked = { name: name!, version: version === undefined ? null : Number(version), data: value };
    const verdict = await schemas
      .validate(scope, { ...asked, coerce: false, removeUnknown: false })
      .catch((error: unknown) =>
        error instanceof PlatformError && error.code === 'NOT_FOUND'
          ? refuse('no such schema', 'schemaRef')
          : Promise.reject(error),
      );
    const [first] = verdict.errors;
    if (first) refuse(`value${first.path === '/' ? '' : first.path}: ${first.message}`, 'value');
    return `${name}@${verdict.version}`;
  };
}
