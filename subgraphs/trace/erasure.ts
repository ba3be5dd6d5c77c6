import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { ErasureRules } from '#shared/erasure/rules.ts';

export const traceErasure: ErasureRules = {
  computed: {
    snapshot: {
      column: 'checksum',
      of: 'state',
      compute: (state) => createHash('sha256').update(canonicalize(state)!).digest('hex'),
    },
  },
};
