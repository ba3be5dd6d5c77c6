import type { EventRow } from './events.ts';
import { isId } from './ids.ts';

/**
 * Whether a Confirm was opened because a module asked for it by `approval.requested`. Clients open Confirms too, with
 * whatever target, reference and approvers they like: what those come to is nothing that a module waits for.
 */
export function wasAskedFor(confirm: { readonly requestEventId?: unknown } | null | undefined): boolean {
  return typeof confirm?.requestEventId === 'string';
}

/** What becomes of an approval that a module has asked for. */
export type ApprovalAnswer =
  | { readonly kind: 'opened'; readonly confirmId: string }
  | { readonly kind: 'approved'; readonly confirmId: string }
  | { readonly kind: 'refused'; readonly reason: string };

/** Events of the confirm module that answer what modules ask for. */
export const answerTypes = ['confirm.created', 'confirm.resolved', 'approval.refused'] as const;

/**
 * The answer in an event of the confirm module, with the reference that was given with the request; null where its `kind`
 * is another, where nobody asked, and of all other events.
 */
export function readAnswer(
  { type, data }: Pick<EventRow, 'type' | 'data'>,
  kind: string,
): { readonly reference: Readonly<Record<string, unknown>>; readonly answer: ApprovalAnswer } | null {
  const about = (type === 'approval.refused' ? data['approval'] : data['confirm']) as
    | {
        readonly id?: unknown;
        readonly status?: unknown;
        readonly resolution?: unknown;
        readonly requestEventId?: unknown;
        readonly reference?: Readonly<Record<string, unknown>> | null;
      }
    | undefined;
  const reference = about?.reference;
  if (reference?.['kind'] !== kind) return null;
  if (type === 'approval.refused')
    return {
      reference,
      answer: { kind: 'refused', reason: String(data['message'] ?? 'nobody can be asked for approval') },
    };
  const confirmId = about?.id;
  if (!wasAskedFor(about) || !isId(confirmId)) return null;
  if (type === 'confirm.created') return { reference, answer: { kind: 'opened', confirmId } };
  if (type !== 'confirm.resolved') return null;
  if (about?.status === 'approved') return { reference, answer: { kind: 'approved', confirmId } };
  const why = typeof about?.resolution === 'string' ? `: ${about.resolution}` : '';
  return { reference, answer: { kind: 'refused', reason: `the Confirm was ${String(about?.status)}${why}` } };
}
