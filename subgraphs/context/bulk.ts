import type { RequestScope } from '#shared/context.ts';
import { PlatformError, toUserError, type UserErrorShape } from '#shared/errors.ts';
import type { Sql } from '#shared/sql.ts';
import { keepVisible } from './access.ts';
import type { CommandResult, CommandRunner, ContextCommand } from './commands.ts';
import type { ContextRow } from './rows.ts';
import { callOf } from './rules.ts';
import { findContexts } from './store.ts';

const maxInputs = 1_000;

export interface BulkItem {
  readonly index: number;
  readonly context: ContextRow | null;
  readonly error: UserErrorShape | null;
}

interface StoredItem {
  readonly contextId: string | null;
  readonly error: UserErrorShape | null;
}

export interface BulkDeps {
  readonly sql: Sql;
  readonly commands: CommandRunner;
  readonly createCommand: (scope: RequestScope, raw: unknown, path: readonly (string | number)[]) => ContextCommand;
}

/** Many contexts in one transaction: one insert, one event batch. */
export function createBulk({ sql, commands, createCommand }: BulkDeps) {
  return {
    /**
     * ATOMIC: the first refusal refuses all. PARTIAL: what is valid is created, the rest answers its own error.
     * @throws {VALIDATION_FAILED} beyond 1,000 inputs; in ATOMIC also whatever an input is refused for.
     */
    async create(
      scope: RequestScope,
      inputs: readonly unknown[],
      options: { readonly mode: 'ATOMIC' | 'PARTIAL'; readonly idempotencyKey?: string | null | undefined },
    ): Promise<BulkItem[]> {
      if (inputs.length === 0 || inputs.length > maxInputs)
        throw new PlatformError('VALIDATION_FAILED', `inputs: expected 1 to ${maxInputs}, got ${inputs.length}`, {
          path: ['inputs'],
        });
      const atomic = options.mode === 'ATOMIC';
      const prepared = inputs.map((input, index) => {
        try {
          return located(createCommand(scope, input, ['inputs', index]), index);
        } catch (error) {
          if (atomic || !(error instanceof PlatformError)) throw error;
          return error;
        }
      });
      const valid = prepared.filter((entry): entry is ContextCommand => !(entry instanceof PlatformError));
      const toStored = (results: readonly (CommandResult | Error)[]): StoredItem[] => {
        let at = 0;
        return prepared.map((entry, index) => {
          const result = entry instanceof PlatformError ? entry : results[at++]!;
          if (!(result instanceof Error)) return { contextId: result.contextId, error: null };
          if (!(result instanceof PlatformError)) throw result;
          return { contextId: null, error: toUserError(relocate(result, index)) };
        });
      };
      const idempotent = callOf(scope.principal, options.idempotencyKey, 'createContexts', {
        inputs,
        mode: options.mode,
      });
      const bulk = {
        scope,
        idempotent,
        respond: (results: readonly (CommandResult | Error)[]) => ({ items: toStored(results) }),
      };
      const answer = await (atomic ? commands.runAtomic(valid, bulk) : commands.runPartial(valid, bulk));
      const items = 'results' in answer ? toStored(answer.results) : (answer.response as { items: StoredItem[] }).items;
      const rows = new Map<string, ContextRow>();
      if ('results' in answer)
        for (const result of answer.results)
          if (!(result instanceof Error) && result.row) rows.set(result.contextId, result.row);
      const missing = items.flatMap(({ contextId }) => (contextId === null || rows.has(contextId) ? [] : [contextId]));
      if (missing.length > 0)
        for (const row of await keepVisible(sql, scope, await findContexts(sql, scope.principal.tenantId, missing)))
          rows.set(row.id, row);
      return items.map(({ contextId, error }, index) => ({
        index,
        context: contextId === null ? null : (rows.get(contextId) ?? null),
        error,
      }));
    },
  };
}

/** What the command is refused for inside the transaction names its input too. */
function located(command: ContextCommand, index: number): ContextCommand {
  return {
    ...command,
    decide(current, usage) {
      try {
        return command.decide(current, usage);
      } catch (error) {
        throw error instanceof PlatformError ? relocate(error, index) : error;
      }
    },
  };
}

function relocate(error: PlatformError, index: number): PlatformError {
  if (error.path?.[0] === 'inputs') return error;
  return new PlatformError(error.code, error.message, {
    path: ['inputs', index, ...(error.path ?? [])],
    ...(error.details === undefined ? {} : { details: error.details }),
  });
}
