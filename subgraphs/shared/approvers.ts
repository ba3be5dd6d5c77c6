import { z } from 'zod';
import { text } from './validation.ts';

/** Who is asked, as an approval is requested of the confirm module. */
export interface Approvers {
  readonly approverRoles: readonly string[];
  readonly approvers: readonly string[];
  readonly quorum: { readonly kind: string; readonly required?: number };
}

const label = text({ min: 1, max: 255 });

/** Fields of an input that says who is asked; `toApprovers` checks and stores them. */
export const approverFields = {
  approverRoles: z.array(label).max(100).nullish(),
  approvers: z.array(label).max(1_000).nullish(),
  quorum: z.enum(['SINGLE', 'AT_LEAST', 'MAJORITY', 'UNANIMOUS']).nullish(),
  required: z.number().int().min(1).max(1_000).nullish(),
};

type Given = { readonly [Name in keyof typeof approverFields]?: z.output<(typeof approverFields)[Name]> };

/** Refinements of an input with those fields: each with what is expected. */
export const approverRules = [
  {
    holds: ({ quorum, required }: Given) => required == null || quorum === 'AT_LEAST',
    expected: 'expected `required` with the quorum AT_LEAST alone',
  },
  {
    holds: ({ approverRoles, approvers }: Given) => (approverRoles?.length ?? 0) + (approvers?.length ?? 0) > 0,
    expected: 'expected somebody who is asked',
  },
] as const;

export const toApprovers = ({ approverRoles, approvers, quorum, required }: Given): Approvers => ({
  approverRoles: approverRoles ?? [],
  approvers: approvers ?? [],
  quorum: { kind: (quorum ?? 'SINGLE').toLowerCase(), ...(required == null ? {} : { required }) },
});

type Upper = 'SINGLE' | 'AT_LEAST' | 'MAJORITY' | 'UNANIMOUS';

/** Who is asked, as the graph tells it. */
export const approversShape = ({ approverRoles, approvers, quorum }: Approvers) => ({
  ...{ approverRoles: [...approverRoles], approvers: [...approvers] },
  ...{ quorum: quorum.kind.toUpperCase() as Upper, required: quorum.required ?? null },
});
