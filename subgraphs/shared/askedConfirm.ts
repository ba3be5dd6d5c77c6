/**
 * Whether a Confirm was opened because a module asked for it by `approval.requested`. Clients open Confirms too, with
 * whatever target, reference and approvers they like: what those come to is nothing that a module waits for.
 */
export function wasAskedFor(confirm: { readonly requestEventId?: unknown } | null | undefined): boolean {
  return typeof confirm?.requestEventId === 'string';
}
