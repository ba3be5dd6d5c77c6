import { PlatformError } from '#shared/errors.ts';
import type { Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { jsonProblem } from '#shared/validation.ts';
import { isAllowed } from '../manifest/conditions.ts';
import { flatten, type Permission } from '../manifest/permissions.ts';
import type { ExtensionRow } from '../rows.ts';
import { hostOperations } from './operations.ts';

/** For whom and by which extension something is asked of the host. */
export interface HostCaller {
  readonly extension: ExtensionRow;
  /** Whoever called the extension: it never reaches further than they do. */
  readonly principal: Principal;
  readonly traceparent: string | undefined;
}

/** Answers host calls as JSON. @throws {PERMISSION_VIOLATION} and what the operation throws; the guest is told. */
export type Broker = (caller: HostCaller, operation: string, payload: string) => Promise<string>;

const maxAnswerCharacters = 262_144;

/**
 * Each call is looked at anew: whether the extension still runs, still has the permission, and whether who called it
 * has it too. The sandbox knows nothing of any of it.
 */
export function createBroker(runtime: ModuleRuntime): Broker {
  const sql = runtime.keyedSql ?? runtime.sql;
  return async ({ extension, principal, traceparent }, name, payload) => {
    const operation = Object.hasOwn(hostOperations, name) ? hostOperations[name] : undefined;
    if (operation === undefined) throw violation(`the host has no operation ${name.slice(0, 100)}`);
    const { tenantId, id, contextId } = extension;
    const [row] = (await sql.unsafe(
      'SELECT grants, runtime_state AS "runtimeState" FROM extension.extension WHERE tenant_id = $1 AND id = $2',
      [tenantId, id],
      { prepare: true },
    )) as unknown as { grants: readonly Permission[]; runtimeState: string }[];
    if (row === undefined || row.runtimeState === 'quarantined' || row.runtimeState === 'uninstalled')
      throw violation('the extension may not run any more');
    const { permission, isOwn } = operation;
    if (!flatten(row.grants).includes(permission))
      throw violation(`${name} needs ${permission}, which was not granted`);
    if (!isAllowed(row.grants, { extension, principal, permission, operation: name, nowMs: Date.now() }))
      throw violation(`${name} needs ${permission}, of which a condition does not hold`);
    if (
      !isOwn &&
      !(await runtime.authorizer.allows(principal, permission, { type: 'Context', id: contextId, contextId }))
    )
      throw violation(`${name} needs ${permission}, which the caller has not`);
    const given: unknown = JSON.parse(payload);
    const problem = jsonProblem(given, { maxBytes: 131_072 });
    if (problem !== null) throw new PlatformError('VALIDATION_FAILED', `${name}: ${problem}`);
    const value = await operation.run({ runtime, extension, principal, traceparent }, given);
    const text = JSON.stringify(value ?? null);
    if (text.length > maxAnswerCharacters)
      throw new PlatformError(
        'VALIDATION_FAILED',
        `${name}: the answer has ${text.length} characters, more than ${maxAnswerCharacters}`,
      );
    return text;
  };
}

function violation(message: string): PlatformError {
  return new PlatformError('PERMISSION_VIOLATION', message);
}
