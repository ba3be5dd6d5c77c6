import type { ErasureRules } from '#shared/erasure/rules.ts';
import { searchOf } from './store.ts';

/** What a publisher has signed is not the platform's to change. */
export const extensionErasure: ErasureRules = {
  exempt: [
    {
      table: 'release',
      columns: ['manifest', 'bundle', 'checksum', 'signature'],
      reason: 'a release is what its publisher has signed: it runs as it was signed or not at all',
    },
  ],
  search: { extension: searchOf },
};
