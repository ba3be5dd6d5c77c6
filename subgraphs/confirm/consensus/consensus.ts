import type { RequestScope } from '#shared/context.ts';
import { findIdempotentResponse } from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import type { ConfirmAccess } from '../access.ts';
import { callOf, repeatOf } from '../changes.ts';
import type { CommandResult, CommandRunner } from '../commands.ts';
import { createDraft } from '../draft.ts';
import * as inputs from '../inputs.ts';
import { openConfirm } from '../opening.ts';
import type { QuorumKind } from '../quorum/index.ts';
import type { RequestChecks } from '../requestChecks.ts';
import { unknownConsensus } from '../unknownConfirm.ts';
import type { ConsensusDefinition, WorkflowDefinition } from '../workflow/index.ts';
import { toQuorum } from '../workflowInput.ts';
import { voteStep } from './state.ts';
import { castVote } from './vote.ts';

const quorumKinds: Readonly<Record<ConsensusDefinition['algorithm'], QuorumKind>> = {
  simple_majority: 'majority',
  weighted_majority: 'weighted',
  unanimous: 'unanimous',
  quorum_based: 'consensus',
};

const hourMs = 3_600_000;
const defaultTimeoutHours = 72;

/** Votes of named participants over several options. Each is a confirm, so that inbox, deadlines and seals are its own. */
export function createConsensus(
  runtime: ModuleRuntime,
  {
    access,
    commands,
    checks,
  }: {
    readonly access: Pick<ConfirmAccess, 'requireVisible'>;
    readonly commands: CommandRunner;
    readonly checks: RequestChecks;
  },
) {
  return {
    /** Puts a question to the vote. @throws {TARGET_NOT_FOUND} {VALIDATION_FAILED} {QUOTA_EXCEEDED} */
    async create(scope: RequestScope, raw: unknown): Promise<CommandResult> {
      const { idempotencyKey, ...input } = parseInput(inputs.consensus, raw);
      const { principal } = scope;
      const { tenantId, subject } = principal;
      const idempotent = callOf(scope, idempotencyKey, 'createConsensusProcess', input);
      const known = await findIdempotentResponse(runtime.sql, 'confirm', idempotent);
      if (known) return repeatOf(known);
      const { contextId } = await checks.placeOf(scope, input);
      const id = newId();
      const request = {
        tenantId,
        id,
        contextId,
        planId: input.targetType === 'plan' ? input.targetId : null,
        // What is decided is which option, never the object itself: its approval would open locks and move plans.
        targetType: 'other' as const,
        targetId: id,
        confirmationType: 'consensus',
        title: input.title,
        description: input.description ?? null,
        priority: 'normal',
        urgency: 'normal',
        requestedBy: subject,
        requestedByRole: principal.roles[0] ?? principal.subjectType,
        reason: null,
        requester: {},
        subject: null,
        riskAssessment: null,
        impact: null,
        attachments: null,
        notifications: null,
        reference: null,
        templateId: null,
        templateVersion: null,
        gateKey: null,
        requestEventId: null,
        createdBy: subject,
        workflow: toWorkflow(input),
      };
      const voters = input.participants.map((participant) => ({
        subject: participant.subject,
        role: null,
        weight: participant.votingWeight ?? 1,
        required: false,
      }));
      return checks.inRoom(principal, () =>
        commands.run({
          ...{ scope, principal, idempotent },
          confirmId: id,
          gateKey: null,
          action: 'confirm.consensus.create',
          decide: (_current, atMs) => openConfirm(request, new Map([[voteStep, voters]]), atMs),
        }),
      );
    },

    /**
     * Casts the caller's vote; the same idempotency key answers what the first call did.
     * @throws {NOT_FOUND} {NOT_AN_APPROVER} {ALREADY_DECIDED} {STEP_NOT_ACTIVE} {RATIONALE_REQUIRED} {VERSION_CONFLICT}
     */
    async castVote(scope: RequestScope, raw: unknown): Promise<CommandResult> {
      const { idempotencyKey, expectedVersion, ...input } = parseInput(inputs.vote, raw);
      const { principal } = scope;
      const unknown = unknownConsensus(['input', 'consensusId']);
      await access.requireVisible(principal, input.consensusId, unknown);
      return commands.run({
        scope,
        principal,
        confirmId: input.consensusId,
        idempotent: callOf(scope, idempotencyKey, 'castVote', { ...input, expectedVersion }),
        gateKey: null,
        action: 'confirm.vote',
        decide(current, atMs) {
          if (current === null) throw unknown;
          requireVersion(expectedVersion, current.confirm.version);
          const draft = createDraft(current.confirm, current.approvers, { atMs });
          castVote(draft, principal, {
            optionId: input.optionId ?? null,
            scores: input.scores ?? null,
            abstain: input.abstain ?? false,
            justification: input.justification ?? null,
          });
          return draft;
        },
      });
    },
  };
}

type ConsensusInput = Omit<ReturnType<(typeof inputs.consensus)['parse']>, 'idempotencyKey'>;

function toWorkflow(input: ConsensusInput): WorkflowDefinition {
  const { rules } = input;
  const algorithm = rules.algorithm as ConsensusDefinition['algorithm'];
  const kind = quorumKinds[algorithm];
  const { threshold, minimumParticipation, allowAbstention } = rules;
  return {
    type: 'consensus',
    globalTimeoutMs: Math.round((rules.timeoutHours ?? defaultTimeoutHours) * hourMs),
    consensus: {
      targetType: input.targetType,
      targetId: input.targetId,
      options: input.options.map(({ id, label, description }, index) => ({
        id: id ?? `option-${index + 1}`,
        label,
        ...(description == null ? {} : { description }),
      })),
      criteria: (input.criteria ?? []).map(({ id, name, weight }, index) => ({
        id: id ?? `criterion-${index + 1}`,
        name,
        weight,
      })),
      algorithm,
      requireJustification: rules.requireJustification ?? false,
    },
    steps: [
      {
        id: voteStep,
        name: input.title.slice(0, 255),
        kind: 'human_approval',
        dependsOn: [],
        join: 'all',
        approvers: [],
        quorum: toQuorum({ kind, threshold, minimumParticipation, allowAbstention }, kind),
        escalation: [],
        delegationAllowed: false,
        onRejection: 'reject',
        minimumRationale: 0,
      },
    ],
  };
}
