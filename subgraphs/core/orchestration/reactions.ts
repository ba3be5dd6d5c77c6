import { createHash } from 'node:crypto';
import { type Consumer, createConsumer } from '#shared/consumer.ts';
import { createRequestScope } from '#shared/context.ts';
import { errorTable, PlatformError } from '#shared/errors.ts';
import { type EventRow, matchesType } from '#shared/events.ts';
import { isId, newId } from '#shared/ids.ts';
import { createPrincipal } from '#shared/principal.ts';
import { isoText } from '#shared/record.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { continueTrace } from '#shared/telemetry.ts';
import { type SubgraphName, subgraphNames } from '../../names.ts';
import { viewerOf } from '../access.ts';
import type { Commands } from '../commands.ts';
import { executionOf } from '../execution/call.ts';
import { noCause, type RuleCause } from '../execution/executions.ts';
import type { StoredPrincipal } from '../rows.ts';
import { systemEvent } from '../systemEvents.ts';
import { maxDecisionDepth, type Orchestration, type RuleRow, ruleColumns } from './orchestration.ts';

type AutomaticRule = RuleRow & {
  readonly tenantId: string;
  readonly principal: StoredPrincipal;
  /** What was told before is none of its business. */
  readonly since: string;
};

export type Reactions = ReturnType<typeof createReactions>;

/** What this module tells itself would go round; the platform module tells nothing of anybody's work. */
const reactsTo = subgraphNames.filter((name) => name !== 'core' && name !== 'platform');
/** A page is decided within its transaction, which others wait for: it is small. */
const pageSize = 20;
/** Least time between two looks, ms: with rules, and where no tenant has any that reacts by itself. */
const pauseMs = 100;
const idlePauseMs = 1_000;

/** Rules that events trigger by themselves: each event is decided once, with the rights of who put the rules. */
export function createReactions(
  runtime: ModuleRuntime,
  { commands, orchestration }: { readonly commands: Commands; readonly orchestration: Orchestration },
) {
  const { sql, logger, bus } = runtime;
  let isAnybody = false;

  async function lookForAny(): Promise<boolean> {
    const [row] = (await sql.unsafe('SELECT EXISTS (SELECT 1 FROM core.rule WHERE automatic AND enabled) AS any', [], {
      prepare: true,
    })) as unknown as [{ any: boolean }];
    isAnybody = row.any;
    return row.any;
  }

  async function findAutomatic(tenantIds: readonly string[]): Promise<AutomaticRule[]> {
    return (await sql.unsafe(
      `SELECT r.tenant_id AS "tenantId", r.principal, ${isoText('r.updated_at')} AS since, ${ruleColumns}
       FROM core.rule r WHERE r.tenant_id = ANY($1::text[]) AND r.automatic AND r.enabled ORDER BY r.rank, r.id`,
      [tenantIds as string[]],
      { prepare: true },
    )) as unknown as AutomaticRule[];
  }

  /** What led to an event: the execution whose step caused it, which its trace names. */
  async function findCause({ tenantId, traceparent }: EventRow): Promise<RuleCause> {
    const executionId = executionOf(traceparent);
    if (executionId === null) return noCause;
    const [row] = (await sql.unsafe(
      'SELECT rule_depth AS depth, rule_chain AS chain FROM core.execution WHERE tenant_id = $1 AND id = $2',
      [tenantId, executionId],
      { prepare: true },
    )) as unknown as RuleCause[];
    return row ?? noCause;
  }

  async function react(event: EventRow, rules: readonly AutomaticRule[]): Promise<void> {
    const { tenantId, eventId, type, data } = event;
    const principal = createPrincipal({ tenantId, ...rules[0]!.principal });
    try {
      const contextId = contextOf(event);
      // In which context it lies nobody knows: it may be one that is closed to them.
      if (contextId === null && viewerOf(principal) !== null)
        throw new PlatformError('PERMISSION_DENIED', 'the event names no context, and the rule does not see all');
      const cause = await findCause(event);
      if (cause.depth >= maxDecisionDepth)
        throw new PlatformError('RULE_CYCLE', `expected at most ${maxDecisionDepth} decisions one after the other`);
      const scope = createRequestScope({
        ...{ principal, correlationId: newId() },
        traceparent: () => continueTrace(event.traceparent),
      });
      const by = createHash('sha256').update(principal.subject).digest('hex').slice(0, 32);
      await orchestration.decideBy(scope, {
        ...{ event: { type, data }, contextId, rules, cause, dispatch: true, eventId },
        locked: Object.values(data).some(isLocked),
        call: {
          ...{ operation: 'reactToEvent', input: { eventId } },
          idempotencyKey: `reaction:${eventId}:${by}`,
        },
      });
    } catch (error) {
      // What may pass is tried again with the page.
      if (!(error instanceof PlatformError) || errorTable[error.code].retryable) throw error;
      const told = {
        ...{ eventId, eventType: type, rules: rules.map(({ id }) => id) },
        ...{ code: error.code, message: error.message },
      };
      await commands.runAs(tenantId, 'system', async () => ({
        response: null,
        events: [systemEvent(tenantId, 'orchestration.refused', told)],
      }));
    }
  }

  async function handle(events: readonly EventRow[]): Promise<void> {
    const rules = await findAutomatic([...new Set(events.map(({ tenantId }) => tenantId))]);
    if (rules.length === 0) return;
    for (const event of events) {
      const triggered = rules.filter(
        ({ tenantId, trigger, since }) =>
          tenantId === event.tenantId && since <= event.createdAt && matchesType([trigger], event.type),
      );
      // Each with the rights of its own author.
      for (const own of Map.groupBy(triggered, ({ principal }) => JSON.stringify(principal)).values())
        await react(event, own);
    }
  }

  const followOne = (module: SubgraphName): Promise<Consumer> =>
    createConsumer({
      ...{ name: 'core.reactions', module, bus, logger, pageSize, handle },
      sql: (runtime.consumerSqlOf ?? runtime.sqlOf)(module),
      isNeeded: lookForAny,
      pauseMs: () => (isAnybody ? pauseMs : idlePauseMs),
    });

  return { follow: (): readonly Promise<Consumer>[] => reactsTo.map(followOne) };
}

/** The context that an event is about, where it says so. */
export function contextOf({ module, data }: Pick<EventRow, 'module' | 'data'>): string | null {
  const idOf = (value: unknown) => (isId(value) ? value : null);
  const found = idOf(data['contextId']);
  if (found !== null) return found;
  for (const value of Object.values(data)) {
    const inner = idOf((value as { contextId?: unknown } | null)?.contextId);
    if (inner !== null) return inner;
  }
  return module === 'context' ? idOf((data['context'] as { id?: unknown } | undefined)?.id) : null;
}

const isLocked = (value: unknown): boolean =>
  (value as { governance?: { locked?: unknown } | null } | null)?.governance?.locked === true;
