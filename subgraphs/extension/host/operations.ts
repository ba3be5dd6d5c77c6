import { z } from 'zod';
import { PlatformError } from '#shared/errors.ts';
import { appendChange } from '#shared/outbox.ts';
import type { Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, json, parseInput, text } from '#shared/validation.ts';
import { extensionEvent } from '../events.ts';
import type { ExtensionRow } from '../rows.ts';
import { deleteState, getState, listStateKeys, setState } from './state.ts';

export interface HostSituation {
  readonly runtime: ModuleRuntime;
  readonly extension: ExtensionRow;
  readonly principal: Principal;
  readonly traceparent: string | undefined;
}

export interface HostOperation {
  readonly permission: string;
  /** Concerns nothing but the extension's own: what the caller may do is not asked. */
  readonly isOwn: boolean;
  readonly run: (situation: HostSituation, payload: unknown) => Promise<unknown>;
}

const key = z.object({ key: text({ min: 1, max: 200 }) });
const target = z.object({ id });

function define<Schema extends z.ZodType>(
  permission: string,
  schema: Schema,
  run: (situation: HostSituation, payload: z.output<Schema>) => Promise<unknown>,
  isOwn = true,
): HostOperation {
  return { permission, isOwn, run: async (situation, payload) => run(situation, parseInput(schema, payload, [])) };
}

/**
 * Reads one object of the extension's own context, as whoever called the extension.
 * @throws {PERMISSION_VIOLATION} where it lies in another one: permissions are of the scope `context`
 */
function reading(permission: string, document: string): HostOperation {
  return define(
    permission,
    target,
    async ({ runtime, extension, principal }, payload) => {
      const { data, errors } = await runtime.graph.execute<{ found: { readonly contextId: string | null } | null }>(
        document,
        { id: payload.id },
        principal,
      );
      if (!data?.found && errors.length > 0) throw new Error(errors[0]!.message);
      if (!data?.found) return null;
      const { contextId, ...found } = data.found;
      if (contextId !== extension.contextId)
        throw new PlatformError('PERMISSION_VIOLATION', `${permission} is of the extension's own context alone`);
      return found;
    },
    false,
  );
}

/** Everything a sandbox can ask of the host, by the name it is asked by. */
export const hostOperations: Readonly<Record<string, HostOperation>> = {
  'state.get': define('state:read', key, (situation, payload) => getState(situation, payload.key)),
  'state.keys': define('state:read', z.object({ prefix: text({ max: 200 }) }), (situation, payload) =>
    listStateKeys(situation, payload.prefix),
  ),
  'state.set': define('state:write', key.extend({ value: json({ maxBytes: 65_536 }) }), (situation, payload) =>
    setState(situation, payload.key, payload.value),
  ),
  'state.delete': define('state:write', key, (situation, payload) => deleteState(situation, payload.key)),
  'event.emit': define(
    'event:emit',
    z.object({
      type: z
        .string()
        .regex(/^[a-z][a-z0-9]*(\.[a-z][a-z0-9]*)*$/, 'expected dotted lower-case words')
        .max(100),
      data: json({ maxBytes: 65_536 }).nullish(),
    }),
    emit,
  ),
  'context.get': define(
    'context:read',
    z.object({}).nullish(),
    async ({ runtime, extension, principal }) => {
      const { data, errors } = await runtime.graph.execute<{ found: unknown }>(
        'query HostContext($id: ID!) { found: context(contextId: $id) { id title summary status type tags ownerId createdAt updatedAt } }',
        { id: extension.contextId },
        principal,
      );
      if (!data?.found && errors.length > 0) throw new Error(errors[0]!.message);
      return data?.found ?? null;
    },
    false,
  ),
  'plan.get': reading(
    'plan:read',
    'query HostPlan($id: ID!) { found: plan(planId: $id) { contextId id title objective status version createdAt updatedAt } }',
  ),
  'dialog.get': reading(
    'dialog:read',
    'query HostDialog($id: ID!) { found: dialog(id: $id) { contextId id name description status createdAt } }',
  ),
  'confirm.get': reading(
    'confirm:read',
    'query HostConfirm($id: ID!) { found: confirm(id: $id) { contextId id title status phase priority requestedBy reason } }',
  ),
  'trace.get': reading(
    'trace:read',
    'query HostTrace($id: ID!) { found: trace(traceId: $id) { contextId id name status spanCount errorCount } }',
  ),
};

async function emit(
  { runtime, extension, principal, traceparent }: HostSituation,
  { type, data }: { readonly type: string; readonly data?: unknown },
): Promise<null> {
  const appended = await runtime.sql.begin((tx) =>
    appendChange(tx, 'extension', [
      {
        tenantId: extension.tenantId,
        actor: principal.subject,
        traceparent,
        events: [
          { ...extensionEvent('extension.emitted', extension, { emitted: { type, data: data ?? null } }), tags: [] },
        ],
      },
    ]),
  );
  await runtime.publisher.published(appended);
  return null;
}
