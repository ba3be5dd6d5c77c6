import { readFileSync, statfsSync } from 'node:fs';
import { cpus, freemem, totalmem } from 'node:os';
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { Gauge, type Registry } from 'prom-client';
import { readSparingly } from './readSparingly.ts';

export interface ResourceOptions {
  readonly registry: Registry;
  /** A folder of the disk that is looked at. */
  readonly dataDir: string;
  /** Bits a second of the network where the kernel does not say. @default 1_000_000_000, which the guide recommends */
  readonly linkBitsPerSecond?: number;
  /** Times a way to the database and back, ms. */
  readonly latencyMs?: () => Promise<number>;
  /** Whether looks are told of by `sampled`, and whoever scrapes beside them is none. @default each scrape is one */
  readonly isSampled?: boolean;
  /** Where the kernel tells of itself. @default / */
  readonly root?: string;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Sums of `/proc/net/dev` over all links but the loopback. */
function readLinks(root: string): { readonly bytes: number; readonly bitsPerSecond: number } {
  let bytes = 0;
  let bitsPerSecond = 0;
  for (const line of readText(`${root}/proc/net/dev`).split('\n').slice(2)) {
    const [name, figures] = line.split(':');
    if (figures === undefined || name!.trim() === 'lo') continue;
    const columns = figures.trim().split(/\s+/).map(Number);
    bytes += Math.max(columns[0] ?? 0, columns[8] ?? 0);
    const megabits = Number(readText(`${root}/sys/class/net/${name!.trim()}/speed`));
    if (megabits > 0) bitsPerSecond += megabits * 1_000_000;
  }
  return { bytes, bitsPerSecond };
}

/** Segments sent, and sent again, over TCP. */
function readSegments(root: string): { readonly sent: number; readonly again: number } {
  const [names, figures] = readText(`${root}/proc/net/snmp`)
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'))
    .map((line) => line.split(' '));
  const of = (name: string) => Number(figures?.[names?.indexOf(name) ?? -1] ?? 0);
  return { sent: of('OutSegs'), again: of('RetransSegs') };
}

/** Sockets in use and how many files a process may have open. */
function readConnections(root: string): { readonly open: number; readonly max: number } {
  const open = Number(/^TCP: inuse (\d+)/m.exec(readText(`${root}/proc/net/sockstat`))?.[1] ?? 0);
  const max = Number(/^Max open files\s+(\d+)/m.exec(readText(`${root}/proc/self/limits`))?.[1] ?? 0);
  return { open, max };
}

/** Memory in use and in all, of the container where it has a limit. */
function readMemory(root: string): { readonly used: number; readonly total: number } {
  const limit = Number(readText(`${root}/sys/fs/cgroup/memory.max`));
  if (limit > 0) {
    const inactive = Number(/^inactive_file (\d+)/m.exec(readText(`${root}/sys/fs/cgroup/memory.stat`))?.[1] ?? 0);
    return { used: Math.max(0, Number(readText(`${root}/sys/fs/cgroup/memory.current`)) - inactive), total: limit };
  }
  const info = readText(`${root}/proc/meminfo`);
  const kilobytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(info)?.[1] ?? Number.NaN) * 1_024;
  const total = kilobytes('MemTotal') || totalmem();
  const available = kilobytes('MemAvailable');
  return { used: total - (Number.isNaN(available) ? freemem() : available), total };
}

function readWaiting(root: string): { readonly waiting: number; readonly total: number } {
  const figures = (/^cpu +(.*)$/m.exec(readText(`${root}/proc/stat`))?.[1] ?? '').split(' ').map(Number);
  return { waiting: figures[4] ?? 0, total: figures.slice(0, 8).reduce((sum, value) => sum + value, 0) };
}

function readCpu(): { readonly idle: number; readonly total: number } {
  let idle = 0;
  let total = 0;
  for (const { times } of cpus()) {
    idle += times.idle;
    total += times.user + times.nice + times.sys + times.irq + times.idle;
  }
  return { idle, total };
}

const percent = (part: number, whole: number) => (whole > 0 ? (100 * part) / whole : 0);

/** What the guide's lines of resource utilisation go by, read when the registry is asked. Shares are percent. */
export function collectResources(options: ResourceOptions): {
  /** The figures were read and stored. */
  sampled(): void;
  close(): void;
} {
  const { registry, dataDir, root = '', isSampled = false } = options;
  let cpu = readCpu();
  let io = readWaiting(root);
  let links = readLinks(root);
  let segments = readSegments(root);
  let atMs = performance.now();
  let floor = 0;
  let lookedAtMs = performance.now();
  const gauge = (name: string, help: string, read: () => number | null) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        const value = read();
        if (value !== null) this.set(value);
      },
    });

  gauge('mplp_cpu_percent', 'Busy share of all cores since the last look', () => {
    const now = readCpu();
    const share = percent(now.total - now.idle - (cpu.total - cpu.idle), now.total - cpu.total);
    cpu = now;
    return share;
  });
  gauge('mplp_heap_percent', 'Heap in use, of its limit', () => {
    const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
    return percent(used, limit);
  });
  gauge('mplp_off_heap_percent', 'Memory of the process outside its heap, of what there is', () => {
    const { rss, heapTotal } = process.memoryUsage();
    return percent(Math.max(0, rss - heapTotal), readMemory(root).total);
  });
  gauge('mplp_system_memory_percent', 'Memory in use', () => {
    const { used, total } = readMemory(root);
    return percent(used, total);
  });
  gauge('mplp_heap_floor_bytes', 'Heap after the last full collection', () => (floor === 0 ? null : floor));
  gauge('mplp_disk_percent', 'Disk in use', () => {
    const { blocks, bavail } = statfsSync(dataDir);
    return percent(blocks - bavail, blocks);
  });
  gauge('mplp_inode_percent', 'Files of the disk in use', () => {
    const { files, ffree } = statfsSync(dataDir);
    return percent(files - ffree, files);
  });
  gauge('mplp_io_wait_percent', 'Time the cores waited for disks since the last look', () => {
    const now = readWaiting(root);
    const share = percent(now.waiting - io.waiting, now.total - io.total);
    io = now;
    return share;
  });
  gauge(
    'mplp_bandwidth_percent',
    'Bits a second of the busier direction since the last look, of what the links carry',
    () => {
      const [now, nowMs] = [readLinks(root), performance.now()];
      const capacity = now.bitsPerSecond || (options.linkBitsPerSecond ?? 1_000_000_000);
      const share = percent((8 * (now.bytes - links.bytes)) / Math.max((nowMs - atMs) / 1_000, 0.001), capacity);
      [links, atMs] = [now, nowMs];
      return Math.max(0, share);
    },
  );
  gauge('mplp_connection_percent', 'Sockets in use, of the files that the process may have open', () => {
    const { open, max } = readConnections(root);
    return percent(open, max);
  });
  gauge('mplp_packet_loss_percent', 'Segments sent again since the last look, of those sent', () => {
    const now = readSegments(root);
    const share = percent(now.again - segments.again, now.sent - segments.sent);
    segments = now;
    return share;
  });
  readSparingly(
    registry,
    [
      'cpu',
      'heap',
      'off_heap',
      'system_memory',
      'disk',
      'inode',
      'io_wait',
      'bandwidth',
      'connection',
      'packet_loss',
    ].map((share) => `mplp_${share}_percent`),
  );
  gauge('mplp_sample_age_seconds', 'Time since the figures were last sampled', () => {
    const nowMs = performance.now();
    const seconds = (nowMs - lookedAtMs) / 1_000;
    if (!isSampled) lookedAtMs = nowMs;
    return seconds;
  });
  const { latencyMs: measure } = options;
  if (measure) {
    let latency: number | null = null;
    let isAsking = false;
    // Asked behind the answer: whoever scrapes does not wait for the database.
    gauge('mplp_network_latency_ms', 'A way to the database and back, at the look before this one', () => {
      if (!isAsking) {
        isAsking = true;
        measure()
          .then((ms) => {
            latency = ms;
          })
          .catch(() => {})
          .finally(() => {
            isAsking = false;
          });
      }
      return latency;
    });
  }

  const collections = new PerformanceObserver((list) => {
    // NODE_PERFORMANCE_GC_MAJOR: what is left then is reachable.
    for (const { detail } of list.getEntries() as unknown as { detail?: { kind?: number } }[])
      if (detail?.kind === 4) floor = process.memoryUsage().heapUsed;
  });
  collections.observe({ entryTypes: ['gc'] });
  return {
    sampled() {
      lookedAtMs = performance.now();
    },
    close: () => collections.disconnect(),
  };
}
