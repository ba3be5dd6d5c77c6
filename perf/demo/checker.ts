import { createHistory, type ViolationKind } from '../../test/support/historyChecker.ts';

/** What was sent, before any answer. */
export interface SentMessage {
  readonly stream: string;
  /** `clientMessageId`, unique in the whole run. */
  readonly id: string;
  readonly digest: string;
}

/** What a subscriber got, or what stands in the record. */
export interface SeenMessage {
  readonly id: string;
  readonly sequence: number;
  readonly digest: string;
}

export interface RecordedRow extends SeenMessage {
  readonly stream: string;
}

export interface Acknowledgement {
  readonly stream: string;
  readonly id: string;
  readonly sequence: number;
}

/** What happened, told after the run. */
export interface RunRecord {
  /** In the order in which they were sent, per stream. */
  readonly sent: readonly SentMessage[];
  readonly acknowledged: readonly Acknowledgement[];
  /** The dialogs' histories, read by query. */
  readonly rows: readonly RecordedRow[];
}

export interface Findings {
  readonly gaps: number;
  readonly duplicates: number;
  readonly reordered: number;
  readonly wrongContent: number;
  readonly missing: number;
  /** The first few, in words. */
  readonly examples: readonly string[];
}

export interface DeliveryChecker {
  /** From the start of the dialog on. */
  subscribed(subscriber: string, stream: string): void;
  received(subscriber: string, stream: string, message: SeenMessage): void;
  /** It came back and asked for what follows the last message it had. */
  resumed(subscriber: string, stream: string, afterSequence: number): void;
  check(record: RunRecord): Findings;
}

type Count = 'gaps' | 'duplicates' | 'reordered' | 'wrongContent' | 'missing';

const countOf: { readonly [Kind in ViolationKind]: Count } = {
  'acknowledged-lost': 'missing',
  'acknowledged-changed': 'wrongContent',
  'acknowledged-twice': 'duplicates',
  'refused-stored': 'wrongContent',
  'never-sent': 'wrongContent',
  'duplicate-write': 'duplicates',
  'sequence-gap': 'gaps',
  'sequence-repeat': 'duplicates',
  'delivered-uncommitted': 'wrongContent',
  'delivered-changed': 'wrongContent',
  'delivery-out-of-order': 'reordered',
  'delivery-duplicate': 'duplicates',
  'delivery-gap': 'gaps',
  'delivery-missing': 'missing',
  'delivery-after-removal': 'wrongContent',
};

const maxExamples = 5;

/** Compares what subscribers got with what was sent and with what the platform has kept. */
export function createDeliveryChecker(): DeliveryChecker {
  const history = createHistory();
  const seen: { readonly subscriber: string; readonly message: SeenMessage }[] = [];
  return {
    subscribed: (subscriber, stream) => history.subscribed(subscriber, { stream, after: 0 }),
    received(subscriber, stream, message) {
      history.delivered(subscriber, { stream, id: message.id, sequence: message.sequence });
      seen.push({ subscriber, message });
    },
    resumed: (subscriber, stream, afterSequence) => history.resumed(subscriber, afterSequence, stream),
    check({ sent, acknowledged, rows }) {
      const counts: { [Name in Count]: number } = { gaps: 0, duplicates: 0, reordered: 0, wrongContent: 0, missing: 0 };
      const examples: string[] = [];
      const note = (count: Count, message: string): void => {
        counts[count] += 1;
        if (examples.length < maxExamples) examples.push(message);
      };

      for (const { id } of sent) history.sent(id);
      for (const { stream, ...write } of acknowledged) history.acknowledged(stream, write);
      for (const { kind, message } of history.check(rows, { unsentAllowed: false }).violations)
        note(countOf[kind], message);

      const digests = new Map(sent.map(({ id, digest }) => [id, digest]));
      const compare = (who: string, message: SeenMessage): void => {
        const expected = digests.get(message.id);
        // An id that was never sent counts above already.
        if (expected !== undefined && expected !== message.digest)
          note('wrongContent', `${who}: the content of ${message.id} is not what was sent`);
      };
      for (const { subscriber, message } of seen) compare(subscriber, message);
      for (const row of rows) compare('the history', row);

      const order = Map.groupBy(sent, ({ stream }) => stream);
      for (const [stream, kept] of Map.groupBy(rows, (row) => row.stream)) {
        const place = new Map(order.get(stream)?.map(({ id }, index) => [id, index]));
        let last = -1;
        for (const { id } of [...kept].sort((left, right) => left.sequence - right.sequence)) {
          const index = place.get(id);
          if (index === undefined) continue;
          if (index < last) note('reordered', `the history of ${stream} has ${id} behind what was sent later`);
          last = Math.max(last, index);
        }
      }
      return { ...counts, examples };
    },
  };
}

export function isClean(findings: Findings): boolean {
  return findings.gaps + findings.duplicates + findings.reordered + findings.wrongContent + findings.missing === 0;
}
