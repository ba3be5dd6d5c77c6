import { formatNumber } from '../../reporting/format.ts';
import { median } from '../ratios.ts';
import { type FanOutLoad, type FanOutWindow, fanOutKinds } from './measureFanOut.ts';

export interface FanOutTable {
  readonly load: FanOutLoad;
  readonly windows: readonly FanOutWindow[];
}

export interface FanOutRow {
  readonly kind: string;
  readonly cpuUsPerDelivery: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** How many times the CPU of the hub a delivery takes; the median of the rounds. Null where the hub was not measured. */
  readonly cpuRatio: number | null;
}

/** Medians over the rounds, in the order in which the kinds first come; a ratio is taken within a round. */
export function summariseFanOut(windows: readonly FanOutWindow[]): readonly FanOutRow[] {
  return [...Map.groupBy(windows, ({ kind }) => kind)].map(([kind, group]) => {
    const ratios = group.flatMap((window) => {
      const ours = windows.find((each) => each.kind === 'ours' && each.round === window.round);
      return ours ? [window.cpuUsPerDelivery / ours.cpuUsPerDelivery] : [];
    });
    return {
      kind,
      cpuUsPerDelivery: median(group.map((window) => window.cpuUsPerDelivery)),
      p50Ms: median(group.map((window) => window.p50Ms)),
      p99Ms: median(group.map((window) => window.p99Ms)),
      cpuRatio: ratios.length === 0 ? null : median(ratios),
    };
  });
}

function loadText({ sockets, burst, everyMs, bursts, rounds }: FanOutLoad): string {
  const messages = burst === 1 ? 'One message' : `${burst} messages at one moment`;
  return `${messages} every ${everyMs} ms, ${bursts} times, to ${sockets} sockets; ${rounds} rounds, medians:`;
}

/** The fan-out as a section of Markdown. */
export function renderFanOut(tables: readonly FanOutTable[]): string {
  const titleOf = (name: string): string => fanOutKinds.find((kind) => kind.name === name)?.title ?? name;
  const texts = tables.map(({ load, windows }) => {
    const lines = summariseFanOut(windows).map(
      ({ kind, cpuUsPerDelivery, p50Ms, p99Ms, cpuRatio }) =>
        `| ${titleOf(kind)} | ${formatNumber(cpuUsPerDelivery)} | ${formatNumber(p50Ms)} | ${formatNumber(p99Ms)} | ${cpuRatio === null ? '' : cpuRatio.toFixed(2)} |`,
    );
    return `${loadText(load)}

| | CPU us a delivery | p50 ms | p99 ms | CPU : ours |
| --- | ---: | ---: | ---: | ---: |
${lines.join('\n')}`;
  });
  return `## Fan-out

One room, its WebSockets in one other process. CPU is that of the server's process for one message at one socket. Every socket got every message in order, to the byte the same from every server. The hub keeps its events in memory here: what is compared is what comes after the commit.

${texts.join('\n\n')}`;
}
