import { PlatformError } from '#shared/errors.ts';
import type { ExtensionRow } from '../rows.ts';

export function notFrom({ runtimeState }: ExtensionRow, what: string): PlatformError {
  return new PlatformError('INVALID_STATE', `an extension that is ${runtimeState.toUpperCase()} cannot be ${what}`, {
    details: { runtimeState: runtimeState.toUpperCase() },
  });
}

export function notGranted(permission: string, refusal: string): PlatformError {
  const why: Readonly<Record<string, string>> = {
    'not requested': 'the release does not ask for it',
    trust: 'its publisher is not trusted enough for it',
    'not held': 'the caller does not hold it',
  };
  return new PlatformError('PERMISSION_NOT_GRANTED', `${permission}: ${why[refusal] ?? refusal}`, {
    details: { permission, reason: refusal },
  });
}
