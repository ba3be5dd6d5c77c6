import type { RequestScope } from '#shared/context.ts';
import type { EventRow } from '#shared/events.ts';
import {
  findIdempotentResponse,
  type IdempotentCall,
  idempotencyRecord,
  isIdempotencyRace,
} from '#shared/idempotency.ts';
import { appendChange, type NewAudit, type NewEvent, type NewJob } from '#shared/outbox.ts';
import { transactionRetry } from '#shared/retry.ts';
import type { SqlTransaction } from '#shared/sql.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { idempotencyKey, parseInput } from '#shared/validation.ts';
import { noteBudgets } from './allocation/budgets.ts';
import { grantAudits } from './allocation/queue.ts';

/** What a command leaves behind; the response is kept with its idempotency key. */
export interface CallOptions {
  readonly reason?: string | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

export interface CommandOutcome<Response> {
  readonly response: Response;
  readonly events?: readonly NewEvent[];
  readonly audit?: readonly NewAudit[];
  readonly jobs?: readonly NewJob[];
}

export interface Call {
  readonly operation: string;
  readonly input: unknown;
  readonly idempotencyKey?: string | null | undefined;
}

export interface Commands {
  /** One transaction; a repeat of its idempotency key answers what the first call did. */
  run<Response>(
    scope: RequestScope,
    call: Call,
    work: (tx: SqlTransaction) => Promise<CommandOutcome<Response>>,
  ): Promise<Response>;
  /** The same for what nobody asked for: timers and events of other modules. */
  runAs<Response>(
    tenantId: string,
    actor: string,
    work: (tx: SqlTransaction) => Promise<CommandOutcome<Response>>,
  ): Promise<Response>;
}

export function toIdempotentCall(scope: RequestScope, call: Call): IdempotentCall | null {
  if (call.idempotencyKey == null) return null;
  return {
    tenantId: scope.principal.tenantId,
    subject: scope.principal.subject,
    key: parseInput(idempotencyKey, call.idempotencyKey, ['idempotencyKey']),
    operation: call.operation,
    input: call.input,
  };
}

export function createCommands({ sql, publisher }: ModuleRuntime): Commands {
  async function transact<Response>(
    actor: { readonly tenantId: string; readonly subject: string; readonly traceparent?: string },
    idempotent: IdempotentCall | null,
    work: (tx: SqlTransaction) => Promise<CommandOutcome<Response>>,
  ): Promise<{ readonly response: Response; readonly events: readonly EventRow[] }> {
    return transactionRetry.execute(async () => {
      let events: readonly EventRow[] = [];
      let response: Response | undefined;
      await sql.begin(async (tx) => {
        const outcome = await work(tx);
        response = outcome.response;
        const { events: own = [], jobs = [] } = outcome;
        const news = [...own, ...(await noteBudgets(tx, actor.tenantId, own))];
        const audit = [...(outcome.audit ?? []), ...grantAudits(news)];
        if (news.length + audit.length + jobs.length === 0 && idempotent === null) return;
        events = await appendChange(tx, 'core', [
          {
            tenantId: actor.tenantId,
            actor: actor.subject,
            traceparent: actor.traceparent,
            events: news,
            audit,
            jobs,
            idempotency: idempotencyRecord(idempotent, outcome.response),
          },
        ]);
      });
      return { response: response as Response, events };
    });
  }

  return {
    async run(scope, call, work) {
      const idempotent = toIdempotentCall(scope, call);
      const { tenantId, subject } = scope.principal;
      const known = await findIdempotentResponse(sql, 'core', idempotent);
      if (known) return known.response as never;
      try {
        const { response, events } = await transact(
          { tenantId, subject, traceparent: scope.traceparent },
          idempotent,
          work,
        );
        await publisher.published(events, scope);
        return response;
      } catch (error) {
        // The other call has committed meanwhile: its answer is found now.
        const raced = isIdempotencyRace(error) ? await findIdempotentResponse(sql, 'core', idempotent) : undefined;
        if (raced) return raced.response as never;
        throw error;
      }
    },
    async runAs(tenantId, actor, work) {
      const { response, events } = await transact({ tenantId, subject: actor }, null, work);
      await publisher.published(events);
      return response;
    },
  };
}
