import { toApproval } from './approval.ts';
import type * as inputs from './inputs.ts';
import type { FailurePolicy, PlanDefinition } from './rows.ts';

export const defaultFailurePolicy: FailurePolicy = {
  strategies: ['RETRY', 'MANUAL_INTERVENTION'],
  maxAttempts: 3,
  delayMs: 1_000,
  backoffFactor: 2,
  maxDelayMs: 60_000,
  rollbackDepth: 1,
};
const defaultConcurrency = 50;

/** Fields beyond the columns; what a patch does not name stays. */
export function mergeDefinition(given: inputs.PlanPatch, before: PlanDefinition): PlanDefinition {
  const { strategies, ...numbers } = given.failureResolver ?? {};
  const set = <T extends object>(values: T) =>
    Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
  const { objectives, constraints, timeline, milestones, optimization, executionConfig, customData } = given;
  return {
    ...before,
    ...set({ objectives, constraints, timeline, milestones, optimization, executionConfig, customData }),
    ...(given.resources === undefined ? {} : { resources: given.resources ?? [] }),
    ...(given.risks === undefined ? {} : { risks: given.risks ?? [] }),
    ...(given.deadlineMs === undefined ? {} : { deadlineMs: given.deadlineMs }),
    ...(given.maxConcurrentTasks == null ? {} : { maxConcurrentTasks: given.maxConcurrentTasks }),
    ...(given.approval === undefined
      ? {}
      : { approval: given.approval === null ? undefined : toApproval(given.approval) }),
    failureResolver: {
      ...before.failureResolver,
      ...(strategies == null ? {} : { strategies }),
      ...Object.fromEntries(Object.entries(numbers).filter(([, value]) => value != null)),
    },
  };
}

export const emptyDefinition: PlanDefinition = {
  resources: [],
  deadlineMs: null,
  risks: [],
  failureResolver: defaultFailurePolicy,
  maxConcurrentTasks: defaultConcurrency,
};
