import { derivedId } from '#shared/derivedId.ts';
import type { RuleRow } from './orchestration.ts';
import type { RuleAction } from './rules.ts';

// Filled in when the rule is looked at.
const contextId = '$'.concat('{execution.contextId}');

function afterCreation(name: string, action: RuleAction): RuleRow {
  return {
    ...{ id: derivedId(`core:rule:${name}`), name, trigger: 'context.created', condition: null, actions: [action] },
    // After whatever the tenant says itself.
    ...{
      rank: 1_000,
      enabled: true,
      automatic: false,
      version: 1,
      createdAt: '2026-11-28T00:00:00.000Z',
      createdBy: 'system',
    },
  };
}

/** Rules that each tenant has: a context that was created is given a plan, a role and a trace to watch it by. */
export const builtInRules: readonly RuleRow[] = [
  afterCreation('default.plan', {
    module: 'plan',
    action: 'createPlan',
    input: {
      input: {
        ...{ contextId, title: 'Default plan', objective: 'To say what the context is to reach, and how' },
        steps: [{ name: 'Planning', description: 'Say what the context is to reach, and who does what' }],
      },
    },
  }),
  afterCreation('default.role', {
    module: 'role',
    action: 'createRole',
    input: {
      input: {
        ...{ name: 'participant', displayName: 'Participant', scope: { level: 'PROJECT', contextIds: [contextId] } },
      },
    },
  }),
  afterCreation('default.trace', {
    module: 'trace',
    action: 'createTrace',
    input: { input: { contextId, name: 'Context', type: 'MONITORING' } },
  }),
];

const ids: ReadonlySet<string> = new Set(builtInRules.map(({ id }) => id));

/** Whether a rule is one of them. */
export const isBuiltIn = (ruleId: string): boolean => ids.has(ruleId);
