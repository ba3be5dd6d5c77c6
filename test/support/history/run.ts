import { createHistory, type FinalRow, type History, type HistoryReport } from '../historyChecker.ts';

export type Call =
  | { do: 'sent'; id: string }
  | { do: 'acknowledged'; stream: string; id: string; sequence: number }
  | { do: 'refused'; id: string }
  | { do: 'subscribed'; subscriber: string; stream: string; after: number }
  | { do: 'delivered'; subscriber: string; stream: string; id: string; sequence: number }
  | { do: 'resumed'; subscriber: string; stream: string; after: number }
  | { do: 'removed'; subscriber: string; stream: string; at: number };

export interface Run {
  calls: Call[];
  rows: FinalRow[];
}

export function replay({ calls, rows }: Run): HistoryReport {
  const history: History = createHistory();
  for (const call of calls) {
    switch (call.do) {
      case 'sent':
      case 'refused':
        history[call.do](call.id);
        break;
      case 'acknowledged':
        history.acknowledged(call.stream, call);
        break;
      case 'subscribed':
        history.subscribed(call.subscriber, call);
        break;
      case 'delivered':
        history.delivered(call.subscriber, call);
        break;
      case 'resumed':
        history.resumed(call.subscriber, call.after, call.stream);
        break;
      case 'removed':
        history.removed(call.subscriber, call.stream, call.at);
    }
  }
  return history.check(rows);
}

/** A small generator of our own, so that a seed names a run for good (mulberry32, T. Ettinger 2017). */
export function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** A correct run: writes with lost answers and retries, subscribers that join late, resume, repeat or are removed. */
export function createGoodRun(seed: number): Run {
  const random = createRandom(seed);
  const calls: Call[] = [];
  const rows: FinalRow[] = [];
  for (const stream of ['dialog-a', 'dialog-b', 'dialog-c']) {
    const length = 20 + random(20);
    for (let sequence = 1; sequence <= length; sequence += 1) {
      const id = `${stream}-m${sequence}`;
      rows.push({ stream, id, sequence });
      calls.push({ do: 'sent', id });
      const fate = random(10);
      if (fate > 0) calls.push({ do: 'acknowledged', stream, id, sequence });
      if (fate === 1) calls.push({ do: 'acknowledged', stream, id, sequence });
      if (fate === 2) calls.push({ do: 'refused', id: `${id}-refused` }, { do: 'sent', id: `${id}-lost` });
    }
    for (let index = 0; index < 4; index += 1) {
      const subscriber = `${stream}-s${index}`;
      const removedAt = index === 3 ? 10 + random(5) : undefined;
      const end = removedAt ?? length;
      let position = random(4);
      calls.push({ do: 'subscribed', subscriber, stream, after: position });
      if (removedAt !== undefined) calls.push({ do: 'removed', subscriber, stream, at: removedAt });
      while (position < end) {
        if (random(6) === 0) {
          position = Math.max(0, position - random(3));
          calls.push({ do: 'resumed', subscriber, stream, after: position });
        }
        position += 1;
        calls.push({ do: 'delivered', subscriber, stream, id: `${stream}-m${position}`, sequence: position });
      }
    }
  }
  for (let index = rows.length - 1; index > 0; index -= 1) {
    const other = random(index + 1);
    [rows[index], rows[other]] = [rows[other]!, rows[index]!];
  }
  return { calls, rows };
}
