import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { PlatformError } from '#shared/errors.ts';
import { createLru } from '#shared/lru.ts';
import type { Principal } from '#shared/principal.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { createCpuShares } from './execution/cpuShares.ts';
import type { Broker } from './host/broker.ts';
import { methodNames } from './manifest/manifest.ts';
import type { ExtensionRow, HostOperationValue, RunnableRelease, SandboxLimitsValue, SettingsValue } from './rows.ts';
import { defaultLimits, type SandboxFailure, type SandboxLimits } from './sandbox/messages.ts';
import { createSandboxPool, type SandboxRun } from './sandbox/pool.ts';
import { findRunnable } from './store.ts';

const maxReleaseBytes = 64 * 1_048_576;

export interface EngineCall {
  readonly extension: ExtensionRow;
  readonly release: RunnableRelease;
  /** Null only makes the sandbox. */
  readonly method: string | null;
  /** JSON of the method's first and second parameter. */
  readonly parameters: string;
  readonly context: string;
  readonly timeoutMs: number;
  /** For whom host calls are made; null refuses them all. */
  readonly principal: Principal | null;
  readonly traceparent: string | undefined;
  /** Told of each host call once it is answered. */
  readonly asked?: (operation: HostOperationValue) => void;
}

/** Of one core, percent. */
const cpuPercentOf = ({ settings }: Pick<ExtensionRow, 'settings'>): number => settings.maxCpuPercent ?? 100;

export function limitsOf({ maxMemoryMb }: Pick<SettingsValue, 'maxMemoryMb'>): SandboxLimits {
  return { ...defaultLimits, memoryBytes: maxMemoryMb * 1_048_576 };
}

export function shownLimits(settings: SettingsValue): SandboxLimitsValue {
  const { memoryBytes, stackBytes, maxOutputCharacters, maxHostCalls } = limitsOf(settings);
  return {
    memoryBytes,
    stackBytes,
    timeoutMs: settings.operationTimeoutMs,
    outputBytes: maxOutputCharacters,
    hostCalls: maxHostCalls,
  };
}

/** Tells of a host call once it is answered, however that ends. */
async function told<Answer>(
  answer: Promise<Answer>,
  operation: string,
  asked: NonNullable<EngineCall['asked']>,
): Promise<Answer> {
  const fromMs = performance.now();
  const tell = (errorCode: string | null) =>
    asked({ operation: operation.slice(0, 200), durationMs: performance.now() - fromMs, errorCode });
  try {
    const value = await answer;
    tell(null);
    return value;
  } catch (error) {
    tell(error instanceof PlatformError ? error.code : 'INTERNAL_ERROR');
    throw error;
  }
}

/** Runs methods of releases in sandboxes, and knows what is under way. */
export function createEngine(runtime: ModuleRuntime, broker: Broker) {
  const { config } = runtime;
  const pool = createSandboxPool({
    minThreads: config.EXTENSION_THREADS,
    maxThreads: Math.max(config.EXTENSION_THREADS, config.EXTENSION_THREADS_MAX),
  });
  /** Releases never change: what was read once stays true as long as it is there. */
  const releases = new LRUCache<string, RunnableRelease>({
    maxSize: maxReleaseBytes,
    sizeCalculation: ({ sizeBytes }) => sizeBytes + 4_096,
  });
  const shares = createCpuShares();
  /** Calls under way, by sandbox. */
  const running = new Map<string, number>();
  /** Sandboxes of an extension that may be somewhere in the pool. */
  const made = createLru<Set<string>>(20_000);

  function keyOf({ tenantId, id, settings }: ExtensionRow, release: Pick<RunnableRelease, 'id'>): string {
    return `${tenantId}/${id}/${release.id}/${settings.maxMemoryMb}`;
  }

  return {
    pool,

    /** @throws {RATE_LIMITED} where it has taken its share of a core */
    requireCpu: (extension: ExtensionRow): void =>
      shares.require(`${extension.tenantId}/${extension.id}`, cpuPercentOf(extension)),

    /** Whether it has taken its share of a core. */
    lacksCpu: (extension: ExtensionRow): boolean =>
      shares.waitOf(`${extension.tenantId}/${extension.id}`, cpuPercentOf(extension)) > 0,

    /** A release with its code. @throws {NOT_FOUND} */
    async runnable(tenantId: string, releaseId: string): Promise<RunnableRelease> {
      const key = `${tenantId}/${releaseId}`;
      const known = releases.get(key);
      if (known) return known;
      const row = await findRunnable(runtime.keyedSql ?? runtime.sql, tenantId, releaseId);
      if (!row) throw new PlatformError('NOT_FOUND', 'the release is no longer kept');
      releases.set(key, row);
      return row;
    },

    /** @throws {UNAVAILABLE} when too much waits; all else is an outcome */
    async run(call: EngineCall): Promise<SandboxRun> {
      const { extension, release, principal } = call;
      const key = keyOf(extension, release);
      const owner = `${extension.tenantId}/${extension.id}`;
      const keys = made.get(owner) ?? new Set<string>();
      made.set(owner, keys.add(key));
      running.set(key, (running.get(key) ?? 0) + 1);
      try {
        const run = await pool.run({
          key,
          owner,
          source: {
            bundle: release.bundle,
            mainClass: release.manifest.main_class,
            methods: methodNames(release.manifest),
          },
          limits: limitsOf(extension.settings),
          method: call.method,
          parameters: call.parameters,
          context: call.context,
          timeoutMs: call.timeoutMs,
          answer(operation, payload) {
            if (principal === null)
              return Promise.reject(
                new PlatformError('PERMISSION_VIOLATION', 'a pure method asks nobody for anything'),
              );
            const answer = broker({ extension, principal, traceparent: call.traceparent }, operation, payload);
            return call.asked === undefined ? answer : told(answer, operation, call.asked);
          },
        });
        shares.charge(owner, cpuPercentOf(extension), run.outcome.cpuMs + (run.outcome.initMs ?? 0));
        return run;
      } finally {
        const left = running.get(key)! - 1;
        if (left === 0) running.delete(key);
        else running.set(key, left);
      }
    },

    /** Waits until nothing of a release is under way here; answers how many calls were when it began, and how many are left. */
    async drain(
      extension: ExtensionRow,
      release: Pick<RunnableRelease, 'id'>,
      timeoutMs: number,
    ): Promise<{ readonly before: number; readonly left: number }> {
      const key = keyOf(extension, release);
      const before = running.get(key) ?? 0;
      for (const until = performance.now() + timeoutMs; running.has(key) && performance.now() < until; ) await sleep(5);
      return { before, left: running.get(key) ?? 0 };
    },

    /** Lets go of an extension's sandboxes, of those of one release where it is named. */
    forget(tenantId: string, extensionId: string, releaseId?: string): void {
      const owner = `${tenantId}/${extensionId}`;
      const keys = [...(made.get(owner) ?? [])].filter(
        (key) => releaseId === undefined || key.startsWith(`${owner}/${releaseId}/`),
      );
      pool.forget(keys);
      for (const key of keys) made.get(owner)?.delete(key);
    },

    /** Ends the threads in which calls of a release are still under way. */
    kill: (extension: ExtensionRow, release: Pick<RunnableRelease, 'id'>): number =>
      pool.kill(keyOf(extension, release)),

    /** Starts threads where anything runs at all. */
    async warm(): Promise<void> {
      const [found] = await runtime.sql.unsafe(
        `SELECT 1 FROM extension.extension WHERE runtime_state = 'active' LIMIT 1`,
      );
      if (found) await pool.warm();
    },

    close: () => pool.close(),
  };
}

export type Engine = ReturnType<typeof createEngine>;

/** Failures in which a sandbox had to be stopped, or can do nothing any more. */
export function isCrash({ kind, name }: SandboxFailure): boolean {
  return kind !== 'thrown' && kind !== 'output' && name !== 'waiting';
}

/** The platform's code for what a sandbox came to. */
export function codeOf(failure: SandboxFailure) {
  switch (failure.kind) {
    case 'thrown':
      return failure.code === 'PERMISSION_VIOLATION' ? 'PERMISSION_VIOLATION' : 'EXTENSION_FAILED';
    case 'timeout':
      return 'EXECUTION_TIMEOUT';
    case 'memory':
      return 'MEMORY_LIMIT_EXCEEDED';
    case 'output':
      return 'OUTPUT_INVALID';
    case 'quota':
      return 'QUOTA_EXCEEDED';
    case 'stack':
    case 'stalled':
    case 'load':
    case 'crashed':
      return 'EXTENSION_CRASHED';
  }
}
