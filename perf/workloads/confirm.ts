import { randomUUID } from 'node:crypto';
import { createZipf } from '../load/sampler.ts';
import {
  type CreateWorkload,
  type GraphqlCall,
  type RequestOperation,
  readPath,
  withoutUserErrors,
} from '../load/workload.ts';
import {
  approverAt,
  approverCount,
  approverName,
  type ConfirmSeed,
  confirmId,
  countOf,
  nthOf,
  requesterAt,
} from '../seeds/confirm.ts';
import { contextId } from '../seeds/context.ts';

export interface ConfirmParams {
  readonly seed: ConfirmSeed;
  /** Bearer tokens of the agents, by number. */
  readonly tokens: readonly string[];
  /** Weights by operation. */
  readonly mix: Readonly<Record<string, number>>;
  /** Part of the waiting approvals that this load decides: each is decided once. */
  readonly share: readonly [from: number, to: number];
}

const getApproval = `query Approval($id: ID!) {
  confirm(id: $id) {
    id status phase title priority requestedBy requestedAt version
    steps { id status dueAt }
    approvers { subject state dueAt }
    decisions { approver outcome rationale decidedAt hash }
  }
}`;
const listPending = `query Pending {
  approvalsInbox(first: 20) {
    nodes { stepId dueAt isOverdue confirm { id title priority status requestedBy } }
    pageInfo { hasNextPage endCursor }
  }
}`;
const createApproval = `mutation Create($input: CreateApprovalInput!) {
  createApproval(input: $input) {
    confirm { id status nextDeadlineAt } nextApprovers { subject stepId } userErrors { code message }
  }
}`;
const processApproval = `mutation Process($input: ApprovalDecisionInput!) {
  processApproval(input: $input) { confirm { id status version } decisions { hash } userErrors { code message } }
}`;

/** Reads, inboxes, new approvals and decisions; contexts by Zipf. */
export const createWorkload: CreateWorkload<ConfirmParams> = ({ seed, tokens, mix, share }, { worker, workers }) => {
  const zipf = createZipf(seed.contexts);
  const callers = tokens.map((token) => ({ authorization: `Bearer ${token}` }));
  const { subjects } = seed;
  const waiting = countOf('waiting', seed);
  const perContext = Math.max(1, Math.floor(seed.approvals / seed.contexts));
  const [from, to] = share.map((part) => Math.floor(part * waiting)) as [number, number];
  let decided = from + worker;
  let repeats = 0;
  const facts = { pages: 0, items: 0 };

  const next: Readonly<Record<string, RequestOperation['next']>> = {
    get_approval(random): GraphqlCall {
      const approval = zipf.sample(random) + random.integer(perContext) * seed.contexts;
      const id = confirmId(approval % seed.approvals);
      return {
        query: getApproval,
        variables: { id },
        headers: random.pick(callers),
        check: ({ data }) => readPath(data, 'confirm', 'id') === id || 'another confirm came back',
      };
    },
    list_pending: (random): GraphqlCall => ({
      query: listPending,
      headers: random.pick(callers),
      check({ data }) {
        const nodes = readPath(data, 'approvalsInbox', 'nodes');
        if (!Array.isArray(nodes)) return 'no inbox';
        facts.pages += 1;
        facts.items += nodes.length;
        return nodes.every((node) => readPath(node, 'confirm', 'status') === 'PENDING') || 'what has ended waits still';
      },
    }),
    create_approval(random): GraphqlCall {
      const caller = random.integer(subjects);
      const count = 1 + random.integer(5);
      const first = 1 + random.integer(subjects - 1);
      const approvers = Array.from({ length: Math.min(count, subjects - 1) }, (_, place) => ({
        subject: approverName((caller + 1 + ((first + place) % (subjects - 1))) % subjects),
      }));
      return {
        query: createApproval,
        variables: {
          input: {
            targetType: 'OTHER',
            targetId: randomUUID(),
            contextId: contextId(zipf.sample(random)),
            confirmationType: 'RISK_ACCEPTANCE',
            title: `Accept risk ${random.integer(1e9)}`,
            reason: 'the plan needs it',
            subject: { amount: random.integer(10_000), currency: 'EUR' },
            approvers,
            idempotencyKey: randomUUID(),
          },
        },
        headers: callers[caller]!,
        check(response) {
          const verdict = withoutUserErrors(response, 'createApproval');
          if (verdict !== true) return verdict;
          const asked = readPath(response.data, 'createApproval', 'nextApprovers');
          return (Array.isArray(asked) && asked.length === approvers.length) || 'not all approvers are asked';
        },
      };
    },
    process_approval(random): GraphqlCall {
      if (decided >= to) {
        repeats += 1;
        decided = from + worker;
      }
      const approval = nthOf('waiting', decided);
      decided += workers;
      const approver = approverAt(approval, random.integer(approverCount(approval)), subjects);
      return {
        query: processApproval,
        variables: {
          input: {
            confirmId: confirmId(approval),
            decision: 'APPROVED',
            rationale: 'as the report says',
            idempotencyKey: randomUUID(),
          },
        },
        headers: callers[approver]!,
        check(response) {
          if (repeats > 0) return 'the data set has too few waiting approvals for this load';
          const verdict = withoutUserErrors(response, 'processApproval');
          if (verdict !== true) return verdict;
          return readPath(response.data, 'processApproval', 'confirm', 'status') === 'APPROVED' || 'not approved';
        },
      };
    },
  };
  if (requesterAt(0, subjects) === approverAt(0, 0, subjects)) throw new Error('who asks would decide');
  return {
    operations: Object.entries(mix).map(([name, weight]): RequestOperation => ({ name, weight, next: next[name]! })),
    facts: () => facts,
  };
};
