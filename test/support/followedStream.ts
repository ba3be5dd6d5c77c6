import type { FinalRow, RecordedStream, Violation } from './historyChecker.ts';

type Step =
  | { readonly kind: 'deliver'; readonly id: string; readonly sequence: number }
  | { readonly kind: 'resume'; readonly after: number };

/** What one subscriber did and saw on one stream. */
export interface FollowedStream {
  start(after: number | undefined, selects: ((row: FinalRow) => boolean) | undefined): void;
  deliver(id: string, sequence: number): void;
  resume(after: number): void;
  remove(atSequence: number): void;
  leave(): void;
  /** Reports what cannot be; returns how many events came again after a resume from an older cursor. */
  check(recorded: RecordedStream, complete: boolean, report: (violation: Violation) => void): number;
}

/**
 * Replays the steps against the record. `position` is the highest sequence the subscriber has passed; what it passed
 * without receiving is `owed` and may still turn up late (out of order), be replayed after a resume, or never come (a gap).
 */
export function createFollowedStream(subscriber: string, stream: string): FollowedStream {
  const steps: Step[] = [];
  let selects: (row: FinalRow) => boolean = () => true;
  let removedAt = Number.POSITIVE_INFINITY;
  let hasLeft = false;
  const place = `${subscriber} on ${stream}`;

  return {
    start(after, select) {
      if (select) selects = select;
      if (after !== undefined) steps.push({ kind: 'resume', after });
    },
    deliver: (id, sequence) => void steps.push({ kind: 'deliver', id, sequence }),
    resume: (after) => void steps.push({ kind: 'resume', after }),
    remove(atSequence) {
      removedAt = Math.min(removedAt, atSequence);
    },
    leave() {
      hasLeft = true;
    },
    check(recorded, complete, report) {
      const { byId } = recorded;
      const due = recorded.rows.filter((row) => row.sequence < removedAt && selects(row));
      /** Index in `due` of the first row the subscriber has not passed. */
      let next = 0;
      let position: number | undefined;
      let resumedAfter: number | undefined;
      /** Sequences that may not come again; a resume from an older cursor forgets what follows it. */
      let received = new Set<number>();
      const everReceived = new Set<number>();
      const owed = new Map<number, FinalRow>();
      let redelivered = 0;

      /** Passes every row up to `to`; those below `owedUpTo` should have been received. */
      const advance = (to: number, owedUpTo: number) => {
        for (let row = due[next]; row && row.sequence <= to; row = due[next]) {
          if (row.sequence < owedUpTo) owed.set(row.sequence, row);
          next += 1;
        }
      };
      const rewind = (after: number) => {
        while (next > 0 && (due[next - 1]?.sequence ?? 0) > after) next -= 1;
        for (const sequence of [...owed.keys()]) if (sequence > after) owed.delete(sequence);
        received = new Set([...received].filter((sequence) => sequence <= after));
      };

      for (const step of steps) {
        if (step.kind === 'resume') {
          const { after } = step;
          if (position === undefined) {
            advance(after, Number.NEGATIVE_INFINITY);
          } else if (after < position) rewind(after);
          else advance(after, after + 1);
          position = after;
          resumedAfter = after;
          continue;
        }
        const { id, sequence } = step;
        const about = { stream, id, sequence, subscriber };
        const row = byId.get(id);
        if (!row) {
          report({
            kind: 'delivered-uncommitted',
            ...about,
            message: `${place}: received ${id} as #${sequence}, which is not in the record`,
          });
          continue;
        }
        if (row.sequence !== sequence) {
          report({
            kind: 'delivered-changed',
            ...about,
            message: `${place}: received ${id} as #${sequence}, the record has it as #${row.sequence}`,
          });
          continue;
        }
        if (sequence > removedAt) {
          report({
            kind: 'delivery-after-removal',
            ...about,
            message: `${place}: received ${id} as #${sequence} after its removal at #${removedAt}`,
          });
          continue;
        }
        if (position === undefined) {
          advance(sequence - 1, Number.NEGATIVE_INFINITY);
          position = sequence - 1;
        }
        if (sequence > position) {
          advance(sequence, sequence);
          position = sequence;
          if (everReceived.has(sequence)) redelivered += 1;
        } else if (received.has(sequence)) {
          const message = `${place}: received ${id} as #${sequence} twice`;
          report({ kind: 'delivery-duplicate', ...about, message });
        } else if (!owed.delete(sequence) && resumedAfter !== undefined && sequence <= resumedAfter) {
          const message = `${place}: received ${id} as #${sequence} though it asked for what follows #${resumedAfter}`;
          report({ kind: 'delivery-duplicate', ...about, message });
        } else {
          const message = `${place}: received ${id} as #${sequence} after #${position}`;
          report({ kind: 'delivery-out-of-order', ...about, message });
        }
        received.add(sequence);
        everReceived.add(sequence);
      }

      for (const row of owed.values()) {
        report({
          kind: 'delivery-gap',
          stream,
          id: row.id,
          sequence: row.sequence,
          subscriber,
          message: `${place}: never received ${row.id} as #${row.sequence}, though it passed on to #${position}`,
        });
      }
      const started = position !== undefined;
      if (complete && !hasLeft && started) {
        for (const row of due.slice(next)) {
          report({
            kind: 'delivery-missing',
            stream,
            id: row.id,
            sequence: row.sequence,
            subscriber,
            message: `${place}: never received ${row.id} as #${row.sequence}, its last was #${position}`,
          });
        }
      }
      return redelivered;
    },
  };
}
