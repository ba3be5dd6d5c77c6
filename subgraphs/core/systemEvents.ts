import type { RequestScope } from '#shared/context.ts';
import { derivedId } from '#shared/derivedId.ts';
import { newId } from '#shared/ids.ts';
import type { NewEvent } from '#shared/outbox.ts';
import { parseInput } from '#shared/validation.ts';
import type { Commands } from './commands.ts';
import * as inputs from './inputs.ts';

/** The stream of what concerns a tenant as a whole. */
export const systemStream = (tenantId: string): string => derivedId(`core:system:${tenantId}`);

/** What the module itself has to tell: `type` is the one that followers see. */
export function systemEvent(tenantId: string, type: string, data: Readonly<Record<string, unknown>>): NewEvent {
  return { streamId: systemStream(tenantId), type: 'system.told', data: { type, data, published: false }, tags: [] };
}

/** Tells what somebody publishes. @returns the id of what was told */
export function publishSystemEvent(commands: Commands, scope: RequestScope, raw: unknown): Promise<string> {
  const { idempotencyKey, eventType, data } = parseInput(inputs.publishSystemEvent, raw);
  const { tenantId } = scope.principal;
  return commands.run(
    scope,
    { operation: 'publishSystemEvent', input: { eventType, data: data ?? {} }, idempotencyKey },
    async () => {
      const id = newId();
      return {
        response: id,
        events: [
          {
            ...systemEvent(tenantId, eventType, data ?? {}),
            type: 'system.published',
            data: { id, type: eventType, data: data ?? {}, published: true },
          },
        ],
        audit: [{ action: 'event.publish', resource: 'CoreSystemEvent', resourceId: id, detail: { eventType } }],
      };
    },
  );
}
