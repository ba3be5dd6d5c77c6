import { z } from 'zod';
import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import {
  findIdempotentResponse,
  type IdempotentCall,
  idempotencyRecord,
  isIdempotencyRace,
} from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, parseInput, requireVersion, text } from '#shared/validation.ts';
import { derivedId } from '../ids/traceIds.ts';
import { type AlertRuleRow, ruleColumns, ruleTag } from './rows.ts';
import { findRule, findRules } from './store.ts';

const defaultDeviations = 3.5;
const name = text({ min: 1, max: 255 });
const lowered = (values: readonly [string, ...string[]]) => z.string().toLowerCase().pipe(z.enum(values));

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
export function createAlertRules({ sql, publisher, config }: ModuleRuntime) {
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
      const { ruleId = null, threshold, ...input } = parseInput(ruleInput, given);
      const { tenantId, subject } = scope.principal;
      const call = callOf({ ...input, ruleId, threshold, expectedVersion });
      const repeat = async () => {
        const earlier = await findIdempotentResponse(sql, 'trace', call);
        if (!earlier) return null;
        const row = await findRule(sql, tenantId, (earlier.response as { ruleId: string }).ruleId);
        if (!row) throw noSuchRule();
        return row;
      };
      const known = await repeat();
      if (known) return known;
      let events: readonly EventRow[] = [];
      try {
        const row = await sql.begin(async (tx) => {
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
          const [written] = (await tx.unsafe(
            `INSERT INTO trace.alert_rule AS r (tenant_id, id, name, figure, metric, comparison, threshold, service, operation, severity,
               cooldown_seconds, enabled, created_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
             ON CONFLICT (tenant_id, id) DO UPDATE SET name = $3, figure = $4, metric = $5, comparison = $6, threshold = $7, service = $8,
               operation = $9, severity = $10, cooldown_seconds = $11, enabled = $12, revision = r.revision + 1, updated_at = now()
             RETURNING ${ruleColumns}`,
            [
              tenantId,
              ruleId ?? newId(),
              input.name,
              input.figure,
              input.metric ?? null,
              input.comparison,
              threshold ?? defaultDeviations,
              input.service ?? null,
              input.operation ?? null,
              input.severity,
              input.cooldownSeconds,
              input.enabled,
              subject,
            ],
          )) as unknown as AlertRuleRow[];
          const rule = written!;
          events = await appendChange(tx, 'trace', [
            {
              tenantId,
              actor: subject,
              traceparent: scope.traceparent,
              events: [
                { streamId: ruleStream(tenantId), type: 'trace.rule.configured', data: { rule }, tags: [ruleTag] },
              ],
              audit: [{ action: 'trace.rule.configured', resource: 'TraceAlertRule', resourceId: rule.id }],
              idempotency: idempotencyRecord(call, { ruleId: rule.id }),
            },
          ]);
          return rule;
        });
        await publisher.published(events, scope);
        return row;
      } catch (error) {
        const first = isIdempotencyRace(error) ? await repeat() : null;
        if (first) return first;
        throw error;
      }
    },

    /** @throws {NOT_FOUND} {VERSION_CONFLICT} */
    async removeRule(scope: RequestScope, ruleId: string, expectedVersion: number | null): Promise<string> {
      parseInput(id, ruleId, ['ruleId']);
      const { tenantId, subject } = scope.principal;
      const events = await sql.begin(async (tx): Promise<readonly EventRow[]> => {
        const [rule] = (await tx.unsafe(
          `DELETE FROM trace.alert_rule WHERE tenant_id = $1 AND id = $2 RETURNING ${ruleColumns}`,
          [tenantId, ruleId],
        )) as unknown as AlertRuleRow[];
        if (!rule) throw noSuchRule();
        requireVersion(expectedVersion, rule.revision);
        return appendChange(tx, 'trace', [
          {
            tenantId,
            actor: subject,
            traceparent: scope.traceparent,
            events: [{ streamId: ruleStream(tenantId), type: 'trace.rule.deleted', data: { rule }, tags: [ruleTag] }],
            audit: [{ action: 'trace.rule.deleted', resource: 'TraceAlertRule', resourceId: ruleId }],
          },
        ]);
      });
      await publisher.published(events, scope);
      return ruleId;
    },
  };
}
