import { PlatformError } from '#shared/errors.ts';
import type { Engine } from '../engine.ts';
import { incompatibilityOf } from '../manifest/compatibility.ts';
import { judge } from '../manifest/jsonSchemas.ts';
import { type LifecycleHook, requireManifest } from '../manifest/manifest.ts';
import { digestOf } from '../manifest/signature.ts';
import type { ExtensionRow, Json, RunnableRelease } from '../rows.ts';
import { failureOf } from '../sandbox/messages.ts';
import { systemSubject } from '../system.ts';
import type { PublisherKeys, Trust } from './publisherKeys.ts';

export interface ChecksDeps {
  readonly engine: Engine;
  readonly keys: PublisherKeys;
}

/** What has to hold of a release before anything of it runs, and whether it runs. */
export function createChecks({ engine, keys }: ChecksDeps) {
  return {
    /**
     * The package as it lies here: what was right when it came may not be any more.
     * @throws {MANIFEST_INVALID} {CHECKSUM_MISMATCH} {SIGNATURE_INVALID} {INCOMPATIBLE_VERSION}
     */
    async requireSound(release: RunnableRelease): Promise<Trust> {
      requireManifest(release.manifest, ['manifest']);
      const digest = digestOf(release.bundle);
      if (digest.toString('hex') !== release.checksum)
        throw new PlatformError('CHECKSUM_MISMATCH', 'the bundle is not the one that was published');
      const { signature, keyId } = release;
      const signed = release.package === null ? digest : Buffer.from(release.package.checksum, 'hex');
      const trust = await keys.trustOf(release.tenantId, { digest: signed, signature, keyId });
      const reason = incompatibilityOf(release.manifest);
      if (reason !== null) throw new PlatformError('INCOMPATIBLE_VERSION', reason);
      return trust;
    },

    /** @throws {VALIDATION_FAILED} unless the settings fit the release's schema */
    requireConfig({ id, manifest }: RunnableRelease, config: Json | null): void {
      const schema = manifest.configuration_schema;
      if (schema == null) return;
      const problem = judge(`${id}/config`, schema, config ?? {});
      if (problem !== null)
        throw new PlatformError('VALIDATION_FAILED', `config: ${problem}`, { path: ['input', 'config'] });
    },

    /** Evaluates the bundle and looks whether every method is there; answers how long that took, ms. @throws {INIT_TIMEOUT} {SANDBOX_FAILED} */
    async requireStart(extension: ExtensionRow, release: RunnableRelease): Promise<number> {
      const { outcome } = await engine.run({
        extension,
        release,
        method: null,
        parameters: 'null',
        context: 'null',
        timeoutMs: extension.settings.initializationTimeoutMs,
        principal: null,
        traceparent: undefined,
      });
      if (outcome.ok) return outcome.initMs ?? 0;
      const { kind, message } = outcome.failure;
      if (kind === 'timeout')
        throw new PlatformError('INIT_TIMEOUT', `not ready within ${extension.settings.initializationTimeoutMs} ms`);
      throw new PlatformError('SANDBOX_FAILED', `${kind}: ${message}`, { details: { kind } });
    },

    /** Calls a hook of the life cycle where the manifest has one. @throws {INIT_TIMEOUT} {SANDBOX_FAILED} where it is required */
    async runHook(
      extension: ExtensionRow,
      release: RunnableRelease,
      name: LifecycleHook,
      parameters: unknown = {},
    ): Promise<unknown> {
      const hook = release.manifest.lifecycle_hooks[name];
      if (hook === undefined) return null;
      const { outcome } = await engine.run({
        extension,
        release,
        method: hook.script,
        parameters: JSON.stringify(parameters),
        context: JSON.stringify({ hook: name, config: extension.config ?? {}, userId: systemSubject }),
        timeoutMs: Math.min(hook.timeout_seconds * 1_000, extension.settings.initializationTimeoutMs),
        principal: null,
        traceparent: undefined,
      });
      const value: unknown = outcome.ok ? JSON.parse(outcome.value) : null;
      const isUnwell =
        name === 'health_check' && (value === false || (value as { healthy?: unknown } | null)?.healthy === false);
      const failure = outcome.ok
        ? isUnwell
          ? failureOf('thrown', 'it says it is not healthy')
          : null
        : outcome.failure;
      if (failure === null) return value;
      if (!hook.required && name !== 'health_check') return null;
      throw new PlatformError(
        failure.kind === 'timeout' ? 'INIT_TIMEOUT' : 'SANDBOX_FAILED',
        `${name}: ${failure.message}`,
      );
    },
  };
}

export type Checks = ReturnType<typeof createChecks>;
