import { z } from 'zod';
import { ConditionError, EvaluationError } from '#shared/conditions/evaluationError.ts';
import { compileExpressionOver, type Predicate } from '#shared/conditions/expression/compile.ts';
import { readOwn } from '#shared/conditions/facts.ts';
import type { RequestScope } from '#shared/context.ts';
import { derivedId } from '#shared/derivedId.ts';
import { PlatformError } from '#shared/errors.ts';
import type { IdempotentCall } from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import { createLru } from '#shared/lru.ts';
import type { Once } from '#shared/once.ts';
import { isoText } from '#shared/record.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, jsonProblem, parseInput, requireVersion, text } from '#shared/validation.ts';

export interface RuleRow {
  readonly tenantId: string;
  readonly id: string;
  readonly ruleSet: string;
  readonly name: string;
  readonly expression: string;
  readonly message: string;
  readonly severity: 'error' | 'warning';
  readonly enabled: boolean;
  readonly revision: number;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

const columns = `r.tenant_id AS "tenantId", r.id, r.rule_set AS "ruleSet", r.name, r.expression, r.message, r.severity, r.enabled,
  r.revision, r.created_by AS "createdBy", ${isoText('r.created_at')} AS "createdAt", ${isoText('r.updated_at')} AS "updatedAt"`;
const maxRules = 1_000;
const maxDataBytes = 262_144;

const label = text({ min: 1, max: 255 });
const ruleInput = z.object({
  ruleSet: label,
  name: label,
  expression: text({ min: 1, max: 2_048 }),
  message: text({ min: 1, max: 1_000 }),
  severity: z.enum(['ERROR', 'WARNING']),
  enabled: z.boolean(),
});

/** A rule's attributes are paths into the data: `order.total`. What is not there is missing, and equals nothing. */
function compileRule(expression: string): Predicate<unknown> {
  return compileExpressionOver<unknown>(expression, (path) => {
    const names = path.split('.');
    return (data) => names.reduce((value, name) => readOwn(value, name), data);
  });
}

/** Conditions that data has to meet, in sets of a tenant's own; parsed once, never run as code. */
export function createRules({ sql }: ModuleRuntime, once: Once) {
  const compiled = createLru<Predicate<unknown>>(2_000);
  const predicateOf = (expression: string) => {
    const known = compiled.get(expression) ?? compileRule(expression);
    compiled.set(expression, known);
    return known;
  };
  const lockRules = (tenantId: string) => `platform.business_rule/${tenantId}`;

  async function findAll(tenantId: string, ruleSet: string | null): Promise<readonly RuleRow[]> {
    return (await sql.unsafe(
      `SELECT ${columns} FROM platform.business_rule r WHERE r.tenant_id = $1 AND ($2::text IS NULL OR r.rule_set = $2)
       ORDER BY r.rule_set, r.name`,
      [tenantId, ruleSet],
      { prepare: true },
    )) as unknown as RuleRow[];
  }

  const told = (
    change: 'configured' | 'deleted',
    { id: ruleId, ruleSet, name, revision }: RuleRow,
    tenantId: string,
  ) => ({
    events: [
      {
        streamId: derivedId(`business rules ${tenantId}`),
        type: `event.rule.${change}`,
        data: { ruleId, ruleSet, name, revision },
        tags: [],
      },
    ],
    audit: [{ action: `rule.${change}`, resource: 'BusinessRule', resourceId: ruleId, detail: { ruleSet, name } }],
  });

  return {
    all: (scope: RequestScope, ruleSet: string | null) => findAll(scope.principal.tenantId, ruleSet),

    /** Makes a rule, or the next revision of the one of this name. @throws {VALIDATION_FAILED} {QUOTA_EXCEEDED} {VERSION_CONFLICT} */
    async put(
      scope: RequestScope,
      given: unknown,
      expectedVersion: number | null,
      callOf: (input: unknown) => IdempotentCall | null,
    ): Promise<RuleRow> {
      const input = parseInput(ruleInput, given);
      try {
        predicateOf(input.expression);
      } catch (error) {
        if (!(error instanceof ConditionError)) throw error;
        throw new PlatformError('VALIDATION_FAILED', `input.expression: ${error.message}`, {
          path: ['input', 'expression'],
        });
      }
      const { tenantId, subject } = scope.principal;
      return once<RuleRow>(scope, {
        call: callOf({ ...input, expectedVersion }),
        async repeat(response) {
          const row = (await findAll(tenantId, input.ruleSet)).find(
            (rule) => rule.id === (response as { ruleId: string }).ruleId,
          );
          if (!row) throw new PlatformError('NOT_FOUND', 'no such rule');
          return row;
        },
        async write(tx) {
          await tx`SELECT pg_advisory_xact_lock(hashtextextended(${lockRules(tenantId)}, 0))`;
          const rows = await tx<{ id: string; rule_set: string; name: string; revision: number }[]>`
            SELECT id, rule_set, name, revision FROM platform.business_rule WHERE tenant_id = ${tenantId}`;
          const before = rows.find(({ rule_set, name }) => rule_set === input.ruleSet && name === input.name);
          requireVersion(expectedVersion, before?.revision ?? 0);
          if (before === undefined && rows.length >= maxRules)
            throw new PlatformError('QUOTA_EXCEEDED', `expected at most ${maxRules} business rules`);
          const [row] = (await tx.unsafe(
            `INSERT INTO platform.business_rule AS r (tenant_id, id, rule_set, name, expression, message, severity, enabled, created_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (tenant_id, rule_set, name) DO UPDATE SET expression = EXCLUDED.expression, message = EXCLUDED.message,
               severity = EXCLUDED.severity, enabled = EXCLUDED.enabled, revision = r.revision + 1, updated_at = now()
             RETURNING ${columns}`,
            [
              tenantId,
              before?.id ?? newId(),
              input.ruleSet,
              input.name,
              input.expression,
              input.message,
              input.severity.toLowerCase(),
              input.enabled,
              subject,
            ],
          )) as unknown as RuleRow[];
          return { row: row!, response: { ruleId: row!.id }, changes: [told('configured', row!, tenantId)] };
        },
      });
    },

    /** @throws {NOT_FOUND} */
    async remove(scope: RequestScope, ruleId: string, call: IdempotentCall | null): Promise<string> {
      parseInput(id, ruleId, ['ruleId']);
      const { tenantId } = scope.principal;
      return once<string>(scope, {
        call,
        repeat: async () => ruleId,
        async write(tx) {
          const [row] = (await tx.unsafe(
            `DELETE FROM platform.business_rule r WHERE r.tenant_id = $1 AND r.id = $2 RETURNING ${columns}`,
            [tenantId, ruleId],
          )) as unknown as RuleRow[];
          if (!row) throw new PlatformError('NOT_FOUND', 'no such rule', { path: ['ruleId'] });
          return { row: ruleId, response: {}, changes: [told('deleted', row, tenantId)] };
        },
      });
    },

    /** Holds data to the enabled rules of a set. A rule that cannot be decided is an error, whatever its severity. */
    async check(scope: RequestScope, ruleSet: string, data: unknown) {
      parseInput(label, ruleSet, ['ruleSet']);
      const problem = jsonProblem(data, { maxBytes: maxDataBytes });
      if (problem !== null) throw new PlatformError('VALIDATION_FAILED', `data: ${problem}`, { path: ['data'] });
      const rules = (await findAll(scope.principal.tenantId, ruleSet)).filter(({ enabled }) => enabled);
      const [errors, warnings]: { ruleId: string; name: string; kind: 'BROKEN' | 'UNDECIDED'; message: string }[][] = [
        [],
        [],
      ];
      for (const { id: ruleId, name, expression, message, severity } of rules) {
        try {
          if (predicateOf(expression)(data)) continue;
          (severity === 'error' ? errors! : warnings!).push({ ruleId, name, kind: 'BROKEN', message });
        } catch (error) {
          if (!(error instanceof EvaluationError)) throw error;
          errors!.push({ ruleId, name, kind: 'UNDECIDED', message: error.message });
        }
      }
      return { valid: errors!.length === 0, checked: rules.length, errors: errors!, warnings: warnings! };
    },
  };
}
