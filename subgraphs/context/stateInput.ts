import { z } from 'zod';
import { PlatformError } from '#shared/errors.ts';
import { id, idempotencyKey, json, parseInput, text } from '#shared/validation.ts';
import { governanceOverride } from './governance.ts';
import { requireSharedKey } from './sharedState.ts';
import { requireSharedValue } from './stateShape.ts';

const maxAheadMs = 300_000;

const updateInput = z.object({
  contextId: id,
  baseVersion: z.number().int().min(0),
  baseChecksum: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'expected SHA-256 in hex')
    .nullish(),
  changes: z
    .array(
      z.object({
        key: text({ min: 1, max: 512 }),
        operation: z.enum(['SET', 'DELETE']).nullish(),
        value: json({ maxBytes: 1_048_576 }).optional(),
        timestamp: z.date().nullish(),
      }),
    )
    .min(1)
    .max(1_000),
  policy: z.enum(['LAST_WRITE_WINS', 'REJECT']).nullish(),
  nodeId: text({ min: 1, max: 255 }).nullish(),
  override: governanceOverride.nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

export type StateUpdate = z.output<typeof updateInput>;

/** Reads the input of updateSharedState. @throws {VALIDATION_FAILED} */
export function readStateUpdate(raw: unknown): StateUpdate {
  const input = parseInput(updateInput, raw);
  const keys = new Set<string>();
  input.changes.forEach((change, index) => {
    const path = ['input', 'changes', index];
    requireSharedKey(change.key, [...path, 'key']);
    if (keys.has(change.key))
      throw new PlatformError(
        'VALIDATION_FAILED',
        `input.changes.${index}.key: expected each key once, got ${JSON.stringify(change.key.slice(0, 60))} again`,
        { path: [...path, 'key'] },
      );
    keys.add(change.key);
    if (change.operation !== 'DELETE' && change.value === undefined)
      throw new PlatformError('VALIDATION_FAILED', `input.changes.${index}.value: SET needs a value`, {
        path: [...path, 'value'],
      });
    if (change.operation !== 'DELETE') requireSharedValue(change.key, change.value, [...path, 'value']);
    if (change.timestamp && change.timestamp.getTime() > Date.now() + maxAheadMs)
      throw new PlatformError(
        'VALIDATION_FAILED',
        `input.changes.${index}.timestamp: expected at most ${maxAheadMs} ms ahead of now`,
        { path: [...path, 'timestamp'] },
      );
  });
  return input;
}
