import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';

/** What precedes the first decision of a confirm. */
export const chainStart = '0'.repeat(64);

/** A decision as it is sealed: every field of its record but the seal itself. */
export interface Sealable {
  readonly id: string;
  readonly confirmId: string;
  /** From 1, without gaps. */
  readonly sequence: number;
  readonly previousHash: string;
  readonly ballot?: object | null;
}

export type Sealed<Content extends Sealable> = Content & { readonly hash: string };

/**
 * SHA-256 over the canonical JSON (RFC 8785) of a decision, which names the seal of the one before it. Its ballot is part
 * of it where there is one.
 */
export function sealOf(content: Sealable): string {
  const { ballot, ...rest } = content;
  const sealed = ballot == null ? rest : content;
  return createHash('sha256').update(canonicalize(sealed)!).digest('hex');
}

export function seal<Content extends Sealable>(content: Content): Sealed<Content> {
  return { ...content, hash: sealOf(content) };
}

export interface ChainFault {
  readonly sequence: number;
  /** Null where the decision itself is missing. */
  readonly decisionId: string | null;
  readonly reason: 'content' | 'link' | 'missing' | 'head';
}

export interface ChainReport {
  readonly valid: boolean;
  readonly length: number;
  /** The first link that does not hold. */
  readonly fault: ChainFault | null;
}

/** What the confirm remembers of its chain: a decision taken away from its end would not be missed otherwise. */
export interface ChainHead {
  readonly count: number;
  readonly hash: string;
}

/** Checks decisions in their order and names the first that was changed, added, moved or taken away. */
export function verifyChain(decisions: readonly Sealed<Sealable>[], head: ChainHead): ChainReport {
  const report = (fault: ChainFault | null): ChainReport => ({
    valid: fault === null,
    length: decisions.length,
    fault,
  });
  let previousHash = chainStart;
  for (const [index, decision] of decisions.entries()) {
    const { hash, ...content } = decision;
    const expected = index + 1;
    if (content.sequence !== expected) return report({ sequence: expected, decisionId: null, reason: 'missing' });
    if (sealOf(content) !== hash) return report({ sequence: expected, decisionId: content.id, reason: 'content' });
    if (content.previousHash !== previousHash)
      return report({ sequence: expected, decisionId: content.id, reason: 'link' });
    previousHash = hash;
  }
  if (decisions.length < head.count)
    return report({ sequence: decisions.length + 1, decisionId: null, reason: 'missing' });
  const last = decisions.at(-1);
  if (decisions.length > head.count || previousHash !== head.hash)
    return report({ sequence: decisions.length, decisionId: last?.id ?? null, reason: 'head' });
  return report(null);
}
