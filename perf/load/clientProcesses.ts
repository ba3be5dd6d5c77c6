import type { ChildProcess } from 'node:child_process';
import { endChild, forkModule } from './childProcess.ts';

/** Client processes of loads. */
export interface ClientProcesses {
  /** A process that runs no load. */
  take(workload: URL): ChildProcess;
  /** Of a load that has reported. */
  giveBack(workload: URL, child: ChildProcess): Promise<void> | void;
}

const start = (): ChildProcess => forkModule(new URL('./worker.ts', import.meta.url));

/** A measured load has new processes: compiled code and garbage of the load before would be measured. */
export const newClientProcesses: ClientProcesses = { take: start, giveBack: (_, child) => endChild(child) };

/** Keeps processes for the next load of the same workload, which has its modules loaded then. */
export function keepClientProcesses(): ClientProcesses & { close(): Promise<void> } {
  const idle = new Map<string, ChildProcess[]>();
  return {
    take(workload) {
      const known = idle.get(workload.href)?.pop();
      return known?.connected ? known : start();
    },
    giveBack(workload, child) {
      const kept = idle.get(workload.href) ?? [];
      idle.set(workload.href, kept);
      kept.push(child);
    },
    async close() {
      await Promise.all([...idle.values()].flat().map(endChild));
      idle.clear();
    },
  };
}
