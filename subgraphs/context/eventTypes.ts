import { z } from 'zod';
import { matchesType } from '#shared/events.ts';
import { parseInput, text } from '#shared/validation.ts';

/** Everything that a context's stream tells, by what it is about. */
export const contextTypes = [
  'context.created',
  'context.updated',
  'context.deleted',
  'context.restored',
  'context.state.changed',
] as const;
export const participantTypes = [
  'context.participant.requested',
  'context.participant.approved',
  'context.participant.joined',
  'context.participant.updated',
  'context.participant.refused',
  'context.participant.left',
] as const;
export const sessionTypes = ['context.session.started', 'context.session.updated', 'context.session.ended'] as const;
export const sharedStateTypes = ['context.state.sync', 'context.state.resolved', 'context.state.conflict'] as const;
export const metadataTypes = ['context.metadata.updated'] as const;

export const allTypes: readonly string[] = [
  ...contextTypes,
  ...participantTypes,
  ...sessionTypes,
  ...sharedStateTypes,
  ...metadataTypes,
];

const typeList = z
  .array(
    text({ min: 1, max: 100 }).refine(
      (entry) => allTypes.some((type) => matchesType([entry], type)),
      `expected one of ${allTypes.join(', ')}, or a prefix of them that ends in .*`,
    ),
  )
  .min(1)
  .max(50)
  .nullish();

/** The types a subscriber asks for; null for all. @throws {VALIDATION_FAILED} where one of them can never come. */
export function readEventTypes(raw: unknown): readonly string[] | null {
  return parseInput(typeList, raw, ['types']) ?? null;
}
