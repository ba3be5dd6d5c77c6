import type { Logger } from '../telemetry.ts';
import { type LogLevel, logLevels } from './record.ts';

/** From which level on a module's records are kept, until it ends. */
export interface LevelRule {
  readonly tenantId: string;
  readonly module: string;
  readonly level: LogLevel;
  readonly expiresAtMs: number;
}

export interface LogLevels {
  /** Lets rules of the operators' tenant decide what this logger says. */
  register(module: string, logger: Logger): void;
  /** The rules there are, in the place of those before. */
  replace(rules: readonly LevelRule[]): void;
  /** Whether a record of the tenant's own is kept. Without a rule everything is. */
  keeps(tenantId: string, module: string, level: LogLevel): boolean;
  close(): void;
}

/** Least levels by module: of the processes' own loggers where the operators say so, and of what tenants write. */
export function createLogLevels(operatorTenant: string): LogLevels {
  const loggers = new Map<string, { readonly logger: Logger; readonly usual: string }[]>();
  let rules = new Map<string, LevelRule>();
  let timer: NodeJS.Timeout | null = null;
  const keyOf = (tenantId: string, module: string) => JSON.stringify([tenantId, module]);

  function ruleOf(tenantId: string, module: string): LevelRule | undefined {
    const rule = rules.get(keyOf(tenantId, module));
    return rule && rule.expiresAtMs > Date.now() ? rule : undefined;
  }

  function apply(): void {
    for (const [module, all] of loggers) {
      const rule = ruleOf(operatorTenant, module);
      for (const { logger, usual } of all) logger.level = rule ? rule.level.toLowerCase() : usual;
    }
    if (timer !== null) clearTimeout(timer);
    timer = null;
    const ends = [...rules.values()]
      .filter(({ tenantId, expiresAtMs }) => tenantId === operatorTenant && expiresAtMs > Date.now())
      .map(({ expiresAtMs }) => expiresAtMs);
    if (ends.length === 0) return;
    timer = setTimeout(apply, Math.min(Math.min(...ends) - Date.now() + 1, 2_147_483_647));
    timer.unref();
  }

  return {
    register(module, logger) {
      loggers.set(module, [...(loggers.get(module) ?? []), { logger, usual: logger.level }]);
      apply();
    },
    replace(given) {
      rules = new Map(given.map((rule) => [keyOf(rule.tenantId, rule.module), rule]));
      apply();
    },
    keeps(tenantId, module, level) {
      const rule = ruleOf(tenantId, module);
      return rule === undefined || logLevels[level] >= logLevels[rule.level];
    },
    close() {
      if (timer !== null) clearTimeout(timer);
    },
  };
}
