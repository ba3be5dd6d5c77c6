import type { RequestScope } from '#shared/context.ts';
import { PlatformError } from '#shared/errors.ts';
import { findIdempotentResponse } from '#shared/idempotency.ts';
import { newId } from '#shared/ids.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { parseInput, requireVersion } from '#shared/validation.ts';
import type { ConfirmAccess } from './access.ts';
import { type Change, callOf, repeatOf } from './changes.ts';
import type { CommandResult, CommandRunner } from './commands.ts';
import { barredOf, decidesPlan } from './deciders.ts';
import { type Draft, tell } from './draft.ts';
import { noProposal, proposalIn } from './governed.ts';
import { toAttachments, toImpact } from './impact.ts';
import * as inputs from './inputs.ts';
import { readConfirmLimits } from './limits.ts';
import { newStep, type OpeningRequest, openConfirm, openDraft } from './opening.ts';
import { type RequestChecks, recordedDepartment } from './requestChecks.ts';
import { assessRisk } from './risk.ts';
import { type Routing, routingScopeOf } from './routing.ts';
import type { ConfirmRow } from './rows.ts';
import { administers } from './standing.ts';
import { withCost } from './templates.ts';

export interface RevisionsDeps {
  readonly access: ConfirmAccess;
  readonly commands: CommandRunner;
  readonly change: Change;
  readonly routing: Routing;
  readonly checks: RequestChecks;
}

export interface SubmitOptions {
  readonly expectedVersion?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

type Revision = Omit<ReturnType<(typeof inputs.revision)['parse']>, 'idempotencyKey' | 'expectedVersion' | 'confirmId'>;

/** What was written down before it is asked for, and what is asked for again. */
export function createRevisions(runtime: ModuleRuntime, { access, commands, change, routing, checks }: RevisionsDeps) {
  const { sql } = runtime;
  const limits = readConfirmLimits(runtime.config);

  /** The request with what a revision says differently. */
  async function revise(scope: RequestScope, row: ConfirmRow, revision: Revision, cost: number | null) {
    const { approvers, quorum, timeout, workflow, templateId, ...said } = revision;
    const subject = withCost(said.subject === undefined ? row.subject : (said.subject ?? null), cost);
    // What is proposed for a plan goes by the rules of today, also where it stays as it was.
    const isRuled = decidesPlan(row);
    const isRouted = isRuled || workflow != null || templateId != null || (approvers?.length ?? 0) > 0;
    if (!isRouted && (quorum != null || timeout != null))
      throw new PlatformError('VALIDATION_FAILED', 'quorum and timeout: expected the approvers they are for', {
        path: ['input', 'approvers'],
      });
    const chosen = isRouted
      ? await checks.chooseWorkflow(
          scope,
          {
            ...{ approvers, quorum, timeout, workflow, templateId, subject },
            ...{ targetType: row.targetType, contextId: row.contextId, barred: barredOf(row) },
            confirmationType: row.confirmationType ?? '',
            department: recordedDepartment(scope.principal) ?? departmentOf(row),
          },
          isRuled ? proposalIn(row) : noProposal,
        )
      : null;
    return {
      title: said.title ?? row.title,
      description: said.description === undefined ? row.description : said.description,
      reason: said.reason === undefined ? row.reason : said.reason,
      priority: said.priority ?? row.priority,
      urgency: said.urgency ?? row.urgency,
      subject,
      riskAssessment:
        said.riskAssessment === undefined ? row.riskAssessment : assessRisk(said.riskAssessment, limits.riskCutoffs),
      impact: said.impactAssessment === undefined ? row.impact : toImpact(said.impactAssessment),
      attachments: said.attachments === undefined ? row.attachments : toAttachments(said.attachments),
      notifications: said.notifications === undefined ? row.notifications : said.notifications,
      reference: said.reference === undefined ? row.reference : said.reference,
      templateId: chosen === null ? row.templateId : chosen.templateId,
      templateVersion: chosen === null ? row.templateVersion : chosen.templateVersion,
      workflow: chosen === null ? row.workflow : chosen.definition,
    };
  }

  return {
    /** Changes a draft. @throws {INVALID_STATE} {PERMISSION_DENIED} {NOT_FOUND} {INVALID_WORKFLOW} {VERSION_CONFLICT} */
    async update(scope: RequestScope, raw: unknown): Promise<CommandResult> {
      const { idempotencyKey, expectedVersion, confirmId, ...revision } = parseInput(inputs.revision, raw);
      const row = await access.requireConfirm(scope.principal, confirmId);
      const mayAdmin = administers(scope.principal, row);
      requireDraft(row, scope, mayAdmin);
      // What it costs is looked up when it is asked for.
      const revised = await revise(scope, row, revision, null);
      const idempotent = callOf(scope, idempotencyKey, 'updateApproval', { confirmId, ...revision });
      // What is left out stays as it was read: a draft that was changed meanwhile is another one.
      const options = { expectedVersion: expectedVersion ?? row.version, idempotent, action: 'confirm.update' };
      return change(scope, confirmId, options, (draft) => {
        requireDraft(draft.confirm, scope, mayAdmin);
        const steps = revised.workflow!.steps.map(({ id }) => newStep(id));
        draft.confirm = { ...draft.confirm, ...revised, steps };
        draft.isRewritten = true;
        tell(draft, 'confirm.updated');
        return true;
      });
    },

    /**
     * Asks for what a draft says.
     * @throws {INVALID_STATE} {PERMISSION_DENIED} {TARGET_NOT_FOUND} {DUPLICATE_REQUEST} {NO_ELIGIBLE_APPROVER} {QUOTA_EXCEEDED}
     */
    async submit(scope: RequestScope, confirmId: string, given: SubmitOptions): Promise<CommandResult> {
      const key = parseInput(inputs.approval.shape.idempotencyKey, given.idempotencyKey, ['idempotencyKey']);
      const expectedVersion = given.expectedVersion ?? null;
      const idempotent = callOf(scope, key, 'submitApproval', { confirmId, expectedVersion });
      const known = await findIdempotentResponse(sql, 'confirm', idempotent);
      if (known) return repeatOf(known);
      const row = await access.requireConfirm(scope.principal, confirmId);
      requireVersion(expectedVersion, row.version);
      const mayAdmin = administers(scope.principal, row);
      requireDraft(row, scope, mayAdmin);
      const { author, cost } = await checks.placeOf(scope, row, ['confirmId']);
      const asked = withAuthor({ ...row, subject: withCost(row.subject, cost) }, author);
      // Of a plan, the rules may have changed since it was written down.
      const ruled = decidesPlan(row) ? await revise(scope, asked, {}, cost) : null;
      const workflow = ruled?.workflow ?? row.workflow!;
      const routes = await routing.route(routingScopeOf(asked), workflow);
      const gateKey = gateKeyOf(row);
      // Its people were looked up for the workflow that was read.
      const options = { expectedVersion: row.version, idempotent, action: 'confirm.submit', gateKey };
      return checks.inRoom(scope.principal, () =>
        change(scope, confirmId, options, (draft): Draft => {
          requireDraft(draft.confirm, scope, mayAdmin);
          const { templateId, templateVersion } = ruled ?? row;
          return openDraft(draft.before!, routes, {
            ...{ gateKey, workflow, templateId, templateVersion, requester: asked.requester, subject: asked.subject },
            atMs: Date.parse(draft.at),
            ...(ruled === null ? {} : { steps: workflow.steps.map(({ id }) => newStep(id)) }),
          });
        }),
      );
    },

    /**
     * Asks again for what was rejected or cancelled, as a confirm of its own.
     * @throws {INVALID_STATE} {PERMISSION_DENIED} {TARGET_NOT_FOUND} {DUPLICATE_REQUEST} {NO_ELIGIBLE_APPROVER} {QUOTA_EXCEEDED}
     */
    async resubmit(scope: RequestScope, raw: unknown): Promise<CommandResult> {
      const { idempotencyKey, expectedVersion, confirmId, ...revision } = parseInput(inputs.revision, raw);
      const { principal } = scope;
      const idempotent = callOf(scope, idempotencyKey, 'resubmitApproval', { confirmId, ...revision });
      const known = await findIdempotentResponse(sql, 'confirm', idempotent);
      if (known) return repeatOf(known);
      const row = await access.requireConfirm(principal, confirmId);
      requireVersion(expectedVersion, row.version);
      if (row.requestedBy !== principal.subject)
        throw new PlatformError('PERMISSION_DENIED', 'only who asked for it asks again');
      if (row.workflow === null || row.workflow.consensus !== undefined)
        throw new PlatformError('INVALID_STATE', 'only an approval is asked for again', {
          path: ['input', 'confirmId'],
        });
      if (row.status !== 'rejected' && row.status !== 'cancelled')
        throw new PlatformError(
          'INVALID_STATE',
          `expected a confirm that was rejected or cancelled, got ${row.status.toUpperCase()}`,
          { path: ['input', 'confirmId'] },
        );
      const { author, cost } = await checks.placeOf(scope, row, ['input', 'confirmId']);
      const asked = withAuthor(row, author);
      const revised = await revise(scope, asked, revision, cost);
      const workflow = revised.workflow!;
      const request: OpeningRequest = {
        ...askedOf(asked),
        ...revised,
        workflow,
        reference: withoutVersion(revised.reference),
        id: newId(),
        gateKey: gateKeyOf(row),
        requestEventId: null,
        resubmissionOf: row.id,
        attempt: row.attempt + 1,
        createdBy: principal.subject,
      };
      const routes = await routing.route(routingScopeOf(asked), workflow);
      return checks.inRoom(principal, () =>
        commands.run({
          ...{ scope, principal, idempotent },
          confirmId: request.id,
          gateKey: request.gateKey,
          action: 'confirm.resubmit',
          decide: (_current, atMs) => openConfirm(request, routes, atMs),
        }),
      );
    },
  };
}

export type Revisions = ReturnType<typeof createRevisions>;

const gateKeyOf = ({ targetType, targetId, confirmationType }: ConfirmRow) =>
  `${targetType}:${targetId}:${confirmationType}`;

function askedOf(row: ConfirmRow) {
  const { tenantId, contextId, planId, targetType, targetId, confirmationType } = row;
  const { requestedBy, requestedByRole, requester } = row;
  return {
    ...{ tenantId, contextId, planId, targetType, targetId, confirmationType },
    ...{ requestedBy, requestedByRole, requester },
  };
}

/** The row with who wrote what it is about, as it is told now. */
const withAuthor = (row: ConfirmRow, author: string | null): ConfirmRow =>
  author === null ? row : { ...row, requester: { ...row.requester, author } };

function departmentOf({ requester }: Pick<ConfirmRow, 'requester'>): string | null {
  const department = requester?.['department'];
  return typeof department === 'string' ? department : null;
}

/** A plan that is asked for again is the one that stands then, not the version that was refused. */
function withoutVersion(reference: unknown): unknown {
  if (typeof reference !== 'object' || reference === null || !('kind' in reference) || reference.kind !== 'plan')
    return reference;
  const { version: _refused, ...rest } = reference as { version?: unknown };
  return rest;
}

function requireDraft({ requestedBy, phase }: ConfirmRow, { principal }: RequestScope, mayAdmin: boolean): void {
  if (requestedBy !== principal.subject && !mayAdmin)
    throw new PlatformError('PERMISSION_DENIED', 'only who wrote a draft, or confirm:admin, changes or submits it');
  if (phase !== 'draft') throw new PlatformError('INVALID_STATE', `expected a draft, got ${phase.toUpperCase()}`);
}
