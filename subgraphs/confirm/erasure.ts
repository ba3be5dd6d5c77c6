import type { ErasureRules } from '#shared/erasure/rules.ts';

/** The seals of decisions cover who decided and why, so that they stay or their chain does not hold. */
export const confirmErasure: ErasureRules = {
  exempt: [
    {
      table: 'decision',
      reason:
        'decisions are sealed in a chain that covers who decided and why: evidence of approvals (GDPR Art. 17(3)(e)), kept with the confirm',
    },
  ],
};
