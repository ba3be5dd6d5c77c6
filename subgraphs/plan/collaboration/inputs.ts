import { z } from 'zod';
import { newId } from '#shared/ids.ts';
import { id, idempotencyKey, text } from '#shared/validation.ts';
import * as plan from '../inputs.ts';

export const maxParticipants = 100;
const maxEntries = 1_000;
const dayMs = 86_400_000;

/** Numbers with so many decimals, as whole numbers of the smallest unit. */
const scaled = (units: number, decimals: string) =>
  z
    .number()
    .refine(
      (value) => Math.abs(value * units - Math.round(value * units)) < 1e-6,
      `expected at most ${decimals} decimals`,
    )
    .transform((value) => Math.round(value * units));

const participant = z
  .object({
    subject: text({ min: 1, max: 255 }),
    votingWeight: scaled(1_000, 'three').refine(
      (weight) => weight >= 1 && weight <= 1_000_000,
      'expected a weight of 0.001 to 1000',
    ),
  })
  .transform(({ subject, votingWeight }) => ({ subject, weight: votingWeight }));

export const participants = z
  .array(participant)
  .min(1)
  .max(maxParticipants)
  .refine((list) => new Set(list.map(({ subject }) => subject)).size === list.length, 'expected each participant once');

export const removedParticipants = z.array(text({ min: 1, max: 255 })).max(maxParticipants);

const share = (min: number) =>
  scaled(10_000, 'four').refine((value) => value >= min * 10_000 && value <= 10_000, `expected ${min} to 1`);

export const startSession = z.object({
  planId: id,
  participants,
  consensusThreshold: share(0.5).nullish(),
  quorum: share(0).nullish(),
  timeLimitMs: z
    .number()
    .int()
    .min(1_000)
    .max(30 * dayMs)
    .nullish(),
  expectedVersion: z.number().int().nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

const change = z
  .object({
    addSteps: z.array(plan.step).max(maxEntries).nullish(),
    updateSteps: z
      .array(z.object({ stepId: id, patch: plan.stepPatch }))
      .max(maxEntries)
      .refine((list) => new Set(list.map(({ stepId }) => stepId)).size === list.length, 'expected each step once')
      .nullish(),
    removeStepIds: z.array(id).max(maxEntries).nullish(),
    addDependencies: z.array(plan.dependency).max(maxEntries).nullish(),
    removeDependencyIds: z.array(id).max(maxEntries).nullish(),
  })
  .refine(
    (given) => Object.values(given).some((list) => (list?.length ?? 0) > 0),
    'expected a change: steps or dependencies that are added, changed or removed',
  );

/** Every id given out, so that the change is the same whenever it is applied. */
export const planChange = change.transform((given) => {
  const steps = (given.addSteps ?? []).map((step) => ({ ...step, id: step.id ?? newId() }));
  const implied = steps.flatMap(({ id: targetId, dependsOn }) =>
    (dependsOn ?? []).map((sourceId) => ({ id: newId(), sourceId, targetId })),
  );
  return {
    addSteps: steps.map(({ dependsOn: _dependsOn, ...step }) => step),
    updateSteps: given.updateSteps ?? [],
    removeStepIds: given.removeStepIds ?? [],
    addDependencies: [
      ...(given.addDependencies ?? []).map((dependency) => ({ ...dependency, id: dependency.id ?? newId() })),
      ...implied,
    ],
    removeDependencyIds: given.removeDependencyIds ?? [],
  };
});
export type PlanChange = z.output<typeof planChange>;

export const contribute = z.object({
  sessionId: id,
  planVersion: z.number().int().min(1),
  change: z.unknown(),
  rationale: text({ max: 10_000 }).nullish(),
  idempotencyKey: idempotencyKey.nullish(),
});

export const planVersion = z.number().int().min(1);
export const vote = z.enum(['APPROVE', 'REJECT', 'ABSTAIN']);
export const comment = text({ max: 10_000 });
