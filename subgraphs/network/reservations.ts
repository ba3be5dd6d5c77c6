import type { NetworkConfigValue, NetworkLinkRow, TrafficClass } from './rows.ts';

/** Mbps as whole kbps: what is asked for rounds up, what there is rounds down. */
export const toKbps = (mbps: number) => Math.ceil(Math.round(mbps * 1e6) / 1e3);
export const capacityToKbps = (mbps: number) => Math.floor(Math.round(mbps * 1e6) / 1e3);
export const toMbps = (kbps: number) => kbps / 1_000;

/** What the classes may take of a link together, kbps: the reserve stays free. */
export function usableKbps(capacityKbps: number, { reserveShare }: NetworkConfigValue): number {
  return Math.floor(capacityKbps * (1 - reserveShare) + 1e-6);
}

/** What one class may take of a link, kbps: its share of what is usable, and `burst` times that while others leave theirs. */
export function classLimitKbps(capacityKbps: number, config: NetworkConfigValue, trafficClass: TrafficClass): number {
  const usable = usableKbps(capacityKbps, config);
  return Math.min(usable, Math.floor(usable * shareOf(config, trafficClass) * config.burst + 1e-6));
}

function shareOf({ classShares }: NetworkConfigValue, trafficClass: TrafficClass): number {
  switch (trafficClass) {
    case 'real_time':
      return classShares.realTime;
    case 'interactive':
      return classShares.interactive;
    case 'bulk':
      return classShares.bulk;
    case 'management':
      return classShares.management;
  }
}

/** Column of `network.link` that counts a class. */
export const reservedColumn: Readonly<Record<TrafficClass, string>> = {
  real_time: 'reserved_real_time',
  interactive: 'reserved_interactive',
  bulk: 'reserved_bulk',
  management: 'reserved_management',
};

export type ReservedByClass = Readonly<Record<TrafficClass, ArrayLike<number>>>;

export function reservedOf(links: readonly NetworkLinkRow[]): ReservedByClass {
  return {
    real_time: links.map((link) => link.reservedRealTime),
    interactive: links.map((link) => link.reservedInteractive),
    bulk: links.map((link) => link.reservedBulk),
    management: links.map((link) => link.reservedManagement),
  };
}

/** What is reserved on the links of a network, in memory: for decisions that the database then takes over or refuses. */
export interface Reservations {
  /** What the class could still take, kbps; below 0 where more is taken than its limit. */
  residual(link: number, trafficClass: TrafficClass): number;
  /** May go past the limits: who takes has asked for the residual before. */
  take(links: Iterable<number>, trafficClass: TrafficClass, kbps: number): void;
  release(links: Iterable<number>, trafficClass: TrafficClass, kbps: number): void;
  /** Of a link, by class. */
  of(link: number): Readonly<Record<TrafficClass, number>>;
  /** Links on which something was taken or released. */
  readonly changed: ReadonlySet<number>;
}

export function createReservations(
  capacityKbps: ArrayLike<number>,
  reserved: ReservedByClass,
  config: NetworkConfigValue,
): Reservations {
  const countsOf = (name: TrafficClass) => Float64Array.from(reserved[name]);
  const counts: Readonly<Record<TrafficClass, Float64Array>> = {
    real_time: countsOf('real_time'),
    interactive: countsOf('interactive'),
    bulk: countsOf('bulk'),
    management: countsOf('management'),
  };
  const changed = new Set<number>();
  const total = (link: number) =>
    counts.real_time[link]! + counts.interactive[link]! + counts.bulk[link]! + counts.management[link]!;
  const add = (links: Iterable<number>, trafficClass: TrafficClass, kbps: number) => {
    if (kbps === 0) return;
    for (const link of links) {
      counts[trafficClass][link]! += kbps;
      changed.add(link);
    }
  };
  return {
    residual(link, trafficClass) {
      const capacity = capacityKbps[link]!;
      const ofClass = classLimitKbps(capacity, config, trafficClass) - counts[trafficClass][link]!;
      return Math.min(ofClass, usableKbps(capacity, config) - total(link));
    },
    take: add,
    release: (links, trafficClass, kbps) => add(links, trafficClass, -kbps),
    of: (link) => ({
      real_time: counts.real_time[link]!,
      interactive: counts.interactive[link]!,
      bulk: counts.bulk[link]!,
      management: counts.management[link]!,
    }),
    changed,
  };
}
