import { z } from 'zod';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import type { Once } from '#shared/once.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, parseInput, requireVersion, text } from '#shared/validation.ts';
import { derivedId } from '../ids/traceIds.ts';
import { type AlertRuleRow, ruleTag } from './rows.ts';
import { deleteRule, findRule, findRules, writeRule } from './store.ts';

const defaultDeviations = 3.5;
const name = text({ min: 1, max: 255 });
const lowered = <Value extends string>(values: readonly [Value, ...Value[]]) =>
  z.string().toLowerCase().pipe(z.enum(values));

const ruleInput = z
  .object({
    ruleId: id.nullish(),
    name,
    figure: lowered(['metric', 'duration', 'errors']),
    metric: name.nullish(),
    comparison: lowered(['above', 'below', 'deviates']),
    threshold: z.number().nullish(),
    service: name.nullish(),
    operation: name.nullish(),
    severity: z.enum(['LOW', 'MEDIUM', 'HIGH', 'CRITICAL']),
    cooldownSeconds: z.number().int().min(0).max(86_400),
    enabled: z.boolean(),
  })
  .superRefine(({ figure, metric, comparison, threshold }, context) => {
    const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (figure === 'metric' && metric == null) issue('metric', 'expected the name of a metric');
    if (figure !== 'metric' && metric != null) issue('metric', `expected none with ${figure.toUpperCase()}`);
    if (figure === 'errors' && comparison === 'deviates') issue('comparison', 'expected ABOVE or BELOW with ERRORS');
    if (comparison !== 'deviates' && threshold == null) issue('threshold', 'expected a number');
    if (comparison === 'deviates' && threshold != null && threshold <= 0)
      issue('threshold', 'expected more than 0 deviations');
  });

const noSuchRule = () => new PlatformError('NOT_FOUND', 'no such alert rule', { path: ['ruleId'] });
const ruleStream = (tenantId: string) => derivedId(`alert rules ${tenantId}`);

/** What a tenant wants to be told of. */
export function createAlertRules({ sql, config }: ModuleRuntime, once: Once) {
  const changed = (change: 'configured' | 'deleted', rule: AlertRuleRow) => ({
    events: [{ streamId: ruleStream(rule.tenantId), type: `trace.rule.${change}`, data: { rule }, tags: [ruleTag] }],
    audit: [{ action: `trace.rule.${change}`, resource: 'TraceAlertRule', resourceId: rule.id }],
  });

  return {
    rules(scope: RequestScope): Promise<readonly AlertRuleRow[]> {
      scope.readTags.add(ruleTag);
      return findRules(sql, scope.principal.tenantId);
    },

    /** @throws {VALIDATION_FAILED} {NOT_FOUND} {VERSION_CONFLICT} {QUOTA_EXCEEDED} */
    async configure(
      scope: RequestScope,
      given: unknown,
      expectedVersion: number | null,
      callOf: (input: unknown) => IdempotentCall | null,
    ): Promise<AlertRuleRow> {
      const { ruleId = null, threshold = null, ...input } = parseInput(ruleInput, given);
      const { tenantId, subject } = scope.principal;
      return once<AlertRuleRow>(scope, {
        call: callOf({ ...input, ruleId, threshold, expectedVersion }),
        async repeat(response) {
          const row = await findRule(sql, tenantId, (response as { ruleId: string }).ruleId);
          if (!row) throw noSuchRule();
          return row;
        },
        async write(tx) {
          // Rules of a tenant are changed one after the other, so that their number holds.
          await tx.unsafe('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`trace.alert_rule/${tenantId}`]);
          const rules = await findRules(tx, tenantId);
          const before = ruleId === null ? null : (rules.find((rule) => rule.id === ruleId) ?? null);
          if (ruleId !== null && before === null) throw noSuchRule();
          if (before) requireVersion(expectedVersion, before.revision);
          if (before === null && rules.length >= config.TRACE_ALERT_RULES)
            throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${config.TRACE_ALERT_RULES} alert rules`, {
              path: ['input'],
            });
          const rule = await writeRule(tx, {
            ...input,
            tenantId,
            id: ruleId ?? newId(),
            metric: input.metric ?? null,
            service: input.service ?? null,
            operation: input.operation ?? null,
            threshold: threshold ?? defaultDeviations,
            createdBy: subject,
          });
          return { row: rule, response: { ruleId: rule.id }, changes: [changed('configured', rule)] };
        },
      });
    },

    /** @throws {NOT_FOUND} {VERSION_CONFLICT} */
    async removeRule(
      scope: RequestScope,
      ruleId: string,
      expectedVersion: number | null,
      call: IdempotentCall | null,
    ): Promise<string> {
      parseInput(id, ruleId, ['ruleId']);
      return once<string>(scope, {
        call,
        repeat: async () => ruleId,
        async write(tx) {
          const rule = await deleteRule(tx, scope.principal.tenantId, ruleId);
          if (!rule) throw noSuchRule();
          requireVersion(expectedVersion, rule.revision);
          return { row: ruleId, response: { ruleId }, changes: [changed('deleted', rule)] };
        },
      });
    },
  };
}
