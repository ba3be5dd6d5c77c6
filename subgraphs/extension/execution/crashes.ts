import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { ExtensionRow, FailureValue, RunnableRelease } from '../rows.ts';
import { systemSubject } from '../system.ts';
import { watchMs } from './call.ts';

const windowMinutes = 10;
/** Crashes of a release that has just been switched to which take it back. */
const reloadCrashes = 3;

export interface CrashDeps {
  readonly quarantine: (
    actor: { readonly tenantId: string; readonly subject: string; readonly scope: null },
    extensionId: string,
    reason: string,
  ) => Promise<unknown>;
  readonly takeBack: (extension: ExtensionRow, reason: string) => Promise<unknown>;
}

/**
 * What follows when sandboxes of an extension have to be stopped: a release that was switched to just now is taken back,
 * any other goes into quarantine with the fifth crash in ten minutes. Counted over all instances.
 */
export function createCrashes({ sql, config, logger }: ModuleRuntime, { quarantine, takeBack }: CrashDeps) {
  return async (extension: ExtensionRow, release: RunnableRelease, failure: FailureValue): Promise<void> => {
    const { tenantId, id } = extension;
    const [row] = (await sql.unsafe(
      `SELECT count(*)::int AS n FROM extension.execution WHERE tenant_id = $1 AND extension_id = $2 AND crashed AND release_id = $3
         AND created_at > now() - interval '${windowMinutes} minutes'
         AND created_at > coalesce((SELECT greatest(activated_at, reloaded_at) FROM extension.extension WHERE tenant_id = $1 AND id = $2), '-infinity')`,
      [tenantId, id, release.id],
      { prepare: true },
    )) as unknown as { n: number }[];
    const crashes = row!.n;
    const isWatched =
      release.id === extension.currentReleaseId &&
      extension.previousReleaseId !== null &&
      extension.reloadedAt !== null &&
      Date.now() - Date.parse(extension.reloadedAt) < watchMs;
    const reason = `${crashes} crashes, the last: ${failure.code} ${failure.message}`;
    try {
      if (isWatched && crashes >= reloadCrashes) await takeBack(extension, reason);
      else if (!isWatched && crashes >= config.EXTENSION_CRASHES)
        await quarantine({ tenantId, subject: systemSubject, scope: null }, id, reason);
    } catch (error) {
      // The call has its answer; the next crash tries again.
      logger.error({ extensionId: id, error: String(error) }, 'an extension that crashes could not be held');
    }
  };
}
