import type { BusMessage } from '#shared/bus.ts';
import type { ModuleRuntime, StartedModule } from '#shared/subgraph.ts';
import type { DialogParticipantRow } from './rows.ts';

export const presenceTimeoutMs = 5 * 60_000;
export const typingTimeoutMs = 5_000;
const sweepMs = 1_000;

export type PresenceState = 'ONLINE' | 'AWAY' | 'OFFLINE';

export interface PresenceValue {
  readonly dialogId: string;
  readonly participantId: string;
  readonly subject: string;
  readonly state: PresenceState;
  readonly since: string;
}

interface Present extends PresenceValue {
  readonly tenantId: string;
  readonly seenMs: number;
  /** True where the heartbeat came to this instance: it is the one that announces the end. */
  readonly own: boolean;
}

interface Typist {
  readonly participant: DialogParticipantRow;
  readonly threadId: string | null;
  readonly untilMs: number;
}

/** Who is there and who writes: passed on over the bus and held in memory, never stored. */
export function createPresence(runtime: Pick<ModuleRuntime, 'bus' | 'publisher'>, now: () => number = Date.now) {
  const { bus, publisher } = runtime;
  const present = new Map<string, Present>();
  const typists = new Map<string, Typist>();

  function announce(
    participant: Pick<DialogParticipantRow, 'tenantId' | 'dialogId' | 'id' | 'subject'>,
    type: 'dialog.presence' | 'dialog.typing',
    data: Readonly<Record<string, unknown>>,
  ): void {
    const at = new Date(now()).toISOString();
    publisher.ephemeral({
      tenantId: participant.tenantId,
      module: 'dialog',
      streamId: participant.dialogId,
      type,
      actor: participant.subject,
      data: { participantId: participant.id, subject: participant.subject, ...data },
      createdAt: at,
    });
  }

  function keyOf(tenantId: string, participantId: string): string {
    return `${tenantId}/${participantId}`;
  }

  /** Heartbeats of other instances, and who is not there any more. */
  function hear(messages: readonly BusMessage[]): void {
    for (const message of messages) {
      if (message.type === 'dialog.participant.left' || message.type === 'dialog.participant.removed') {
        const gone = message.data['participant'] as DialogParticipantRow;
        const key = keyOf(message.tenantId, gone.id);
        present.delete(key);
        typists.delete(key);
        continue;
      }
      if (message.type !== 'dialog.presence') continue;
      const { participantId, subject, state, since } = message.data as unknown as PresenceValue;
      const key = keyOf(message.tenantId, participantId);
      if (present.get(key)?.own && present.get(key)?.since === since) continue;
      if (state === 'OFFLINE') present.delete(key);
      else
        present.set(key, {
          tenantId: message.tenantId,
          dialogId: message.streamId,
          participantId,
          subject,
          state,
          since,
          seenMs: now(),
          own: false,
        });
    }
  }

  function sweep(): void {
    for (const [key, entry] of present) {
      if (now() - entry.seenMs < presenceTimeoutMs) continue;
      present.delete(key);
      if (entry.own)
        announce(
          { tenantId: entry.tenantId, dialogId: entry.dialogId, id: entry.participantId, subject: entry.subject },
          'dialog.presence',
          { state: 'OFFLINE', since: new Date(now()).toISOString() },
        );
    }
    for (const [key, { participant, threadId, untilMs }] of typists) {
      if (now() < untilMs) continue;
      typists.delete(key);
      announce(participant, 'dialog.typing', { threadId, typing: false, at: new Date(now()).toISOString() });
    }
  }

  return {
    /** A heartbeat; others hear of it when the state changes or once in half the timeout. */
    set(participant: DialogParticipantRow, state: PresenceState): void {
      const key = keyOf(participant.tenantId, participant.id);
      const known = present.get(key);
      const changed = known?.state !== state;
      const since = changed || !known ? new Date(now()).toISOString() : known.since;
      const fresh = !changed && known?.own && now() - known.seenMs < presenceTimeoutMs / 2;
      const { tenantId, dialogId, subject } = participant;
      if (state === 'OFFLINE') present.delete(key);
      else
        present.set(key, {
          tenantId,
          dialogId,
          participantId: participant.id,
          subject,
          state,
          since,
          seenMs: now(),
          own: true,
        });
      if (!fresh && (changed || state !== 'OFFLINE')) announce(participant, 'dialog.presence', { state, since });
    },

    typing(participant: DialogParticipantRow, threadId: string | null, typing: boolean): void {
      const key = keyOf(participant.tenantId, participant.id);
      if (typing) typists.set(key, { participant, threadId, untilMs: now() + typingTimeoutMs });
      else typists.delete(key);
      announce(participant, 'dialog.typing', { threadId, typing, at: new Date(now()).toISOString() });
    },

    list(tenantId: string, dialogId: string): readonly PresenceValue[] {
      return [...present.values()].filter(
        (entry) =>
          entry.tenantId === tenantId && entry.dialogId === dialogId && now() - entry.seenMs < presenceTimeoutMs,
      );
    },

    sweep,

    start(): StartedModule {
      const stop = bus.subscribe('dialog', hear);
      const timer = setInterval(sweep, sweepMs);
      return {
        close: async () => {
          stop();
          clearInterval(timer);
        },
      };
    },
  };
}

export type Presence = ReturnType<typeof createPresence>;
