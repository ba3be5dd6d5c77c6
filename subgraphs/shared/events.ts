import type { SubgraphName } from '../names.ts';
import type { Principal } from './principal.ts';
import type { Sql } from './sql.ts';

/** A committed event: the record every consumer (hub, cache, replicas, trace) reads. */
export interface EventRow {
  readonly tenantId: string;
  readonly module: SubgraphName;
  /** What is ordered: a dialog, a context, an execution. */
  readonly streamId: string;
  /** Gap-free within the stream, from 1. */
  readonly sequence: number;
  readonly eventId: string;
  /** Dotted, lower case: `dialog.message.sent`. */
  readonly type: string;
  /** Subject that caused it. */
  readonly actor: string;
  /** The full row as it stands after the change, so that nobody has to read it again. */
  readonly data: Readonly<Record<string, unknown>>;
  /** Cache tags this change makes stale (`Dialog:<id>`, `Context:<id>:dialogs`). */
  readonly tags: readonly string[];
  readonly traceparent?: string;
  /** ISO 8601 with milliseconds: transaction time at the database. */
  readonly createdAt: string;
}

/** Something that passes by and is not kept: typing, presence. It has no sequence and cannot be replayed. */
export interface EphemeralEvent {
  readonly tenantId: string;
  readonly module: SubgraphName;
  readonly streamId: string;
  readonly type: string;
  readonly actor: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly createdAt: string;
}

export type Decision = 'deliver' | 'skip' | 'end';

/**
 * Decides per subscriber and event. It sees the stream's events in sequence order, also those the subscription
 * does not select (a membership change is such an event), and answers `end` when the subscriber may see no more.
 */
export interface EventGate {
  decide(event: EventRow | EphemeralEvent): Decision;
  /** Called once the result of an event it let through went to the client's connection: what is to be noted of that. */
  handed?(event: EventRow | EphemeralEvent): Handover | undefined;
}

/** What a module notes of a result that a client was handed. */
export type Handover = Readonly<Record<string, unknown>>;

export interface AdmissionDeps {
  readonly sql: Sql;
}

/** One field of `Subscription`, as its module describes it to the hub. */
export interface StreamSubscription {
  readonly module: SubgraphName;
  readonly kind: 'stream' | 'ephemeral';
  /** Whose stream it is where all tenants follow one: nothing of a tenant may be in it. @default who asks */
  readonly tenantId?: string;
  /** Stream to follow, from the field's arguments (already coerced) or, where everyone has one, from who asks. */
  streamId(args: Readonly<Record<string, unknown>>, principal: Principal): string;
  /** Event types it selects; an entry that ends in `.*` selects by prefix. */
  readonly types: readonly string[];
  /** Types of what passes by on a kept stream and is delivered beside its events. @default none */
  readonly passing?: readonly string[];
  /** Notes what gates told of results handed to clients, many at once. */
  noteHandovers?(handovers: readonly Handover[], deps: AdmissionDeps): Promise<void>;
  /** The field's value: an object in GraphQL shape (camelCase, enums in SCREAMING_SNAKE, `__typename` where abstract). */
  payload(event: EventRow | EphemeralEvent): Readonly<Record<string, unknown>>;
  /**
   * Called per subscriber before anything is sent, and again when its rights change; the field's `@auth` rule has let it
   * in before.
   * @throws {PlatformError} NOT_FOUND when the stream is unknown to the principal, PERMISSION_DENIED when known but closed.
   */
  admit(principal: Principal, args: Readonly<Record<string, unknown>>, deps: AdmissionDeps): Promise<EventGate>;
}

export function matchesType(types: readonly string[], type: string): boolean {
  for (const entry of types) {
    if (entry === type || (entry.endsWith('.*') && type.startsWith(entry.slice(0, -1)))) return true;
  }
  return false;
}
