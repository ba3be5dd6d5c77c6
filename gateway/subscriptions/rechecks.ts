import type { Principal } from '#shared/principal.ts';
import type { SubscriptionHubDeps } from './contract.ts';

/** What depends on the rights of one subject. */
export interface RightsWatch {
  /** What to do when they change; at once if they have changed since the watch began. One call after the other. */
  onChange(recheck: () => Promise<void>): void;
  stop(): void;
}

interface Watcher {
  recheck: (() => Promise<void>) | undefined;
  stale: boolean;
  running: boolean;
}

/**
 * Who follows something by rights that may change, by tenant and subject. A change costs one question per subject that
 * follows something here, and an event nothing.
 */
export function createRechecks(onRightsChanged: SubscriptionHubDeps['onRightsChanged']) {
  const byTenant = new Map<string, Map<string, Set<Watcher>>>();

  const unsubscribe = onRightsChanged?.(({ tenantId, concerns }) => {
    for (const [subject, watchers] of byTenant.get(tenantId) ?? []) {
      if (!concerns(subject)) continue;
      for (const watcher of watchers) {
        watcher.stale = true;
        void run(watcher);
      }
    }
  });

  async function run(watcher: Watcher): Promise<void> {
    if (watcher.running || watcher.recheck === undefined) return;
    watcher.running = true;
    while (watcher.stale) {
      watcher.stale = false;
      await watcher.recheck();
    }
    watcher.running = false;
  }

  return {
    watch({ tenantId, subject }: Principal): RightsWatch {
      const watcher: Watcher = { recheck: undefined, stale: false, running: false };
      const ofTenant = byTenant.get(tenantId) ?? new Map<string, Set<Watcher>>();
      byTenant.set(tenantId, ofTenant);
      const ofSubject = ofTenant.get(subject) ?? new Set<Watcher>();
      ofTenant.set(subject, ofSubject);
      ofSubject.add(watcher);
      return {
        onChange(recheck) {
          watcher.recheck = recheck;
          void run(watcher);
        },
        stop() {
          watcher.stale = false;
          ofSubject.delete(watcher);
          if (ofSubject.size > 0 || ofTenant.get(subject) !== ofSubject) return;
          ofTenant.delete(subject);
          if (ofTenant.size === 0 && byTenant.get(tenantId) === ofTenant) byTenant.delete(tenantId);
        },
      };
    },
    close: () => unsubscribe?.(),
  };
}
