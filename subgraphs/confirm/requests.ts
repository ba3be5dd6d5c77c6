import { z } from 'zod';
import { type Consumer, createConsumer } from '#shared/consumer.ts';
import { derivedId } from '#shared/derivedId.ts';
import { PlatformError } from '#shared/errors.ts';
import type { EventRow } from '#shared/events.ts';
import { isId } from '#shared/ids.ts';
import { appendChange } from '#shared/outbox.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import { id, json, jsonObject, text } from '#shared/validation.ts';
import { type SubgraphName, subgraphNames } from '../names.ts';
import type { CommandRunner } from './commands.ts';
import type { Contexts } from './contexts.ts';
import { barredOf, decidesPlan } from './deciders.ts';
import { systemPrincipal } from './directory.ts';
import { planWorkflow } from './governed.ts';
import { readConfirmLimits } from './limits.ts';
import { openConfirm } from './opening.ts';
import { type Returns, rightsTypes } from './returns.ts';
import { noEligibleApprover, type Routing, routingScopeOf } from './routing.ts';
import type { TargetType } from './rows.ts';
import { amountOf, type Templates } from './templates.ts';
import { endingTypes, type Withdrawals } from './withdrawals.ts';
import type { ApproverSpec } from './workflow/index.ts';
import { singleStep, toQuorum } from './workflowInput.ts';

const label = text({ min: 1, max: 255 });

/** What is read of a module. */
const typesOf = (module: SubgraphName) => [
  ...new Set(['approval.requested', ...(endingTypes[module] ?? []), ...(rightsTypes[module] ?? [])]),
];

/** What another module says of the approval it needs. */
const request = z.object({
  targetType: z.enum(['context', 'plan', 'trace', 'extension', 'other']),
  targetId: id,
  contextId: id.nullish(),
  planId: id.nullish(),
  confirmationType: label.nullish(),
  title: text({ min: 1, max: 500 }).nullish(),
  reason: text({ max: 5_000 }).nullish(),
  requestedBy: label.nullish(),
  requestedByRole: label.nullish(),
  /** Who wrote what it is about, and decides nothing. */
  author: label.nullish(),
  department: label.nullish(),
  /** What it is about, for conditions and triggers: `amount`, `currency`. */
  subject: jsonObject({ maxBytes: 65_536 }).nullish(),
  approverRoles: z.array(label).max(100).nullish(),
  approvers: z.array(label).max(1_000).nullish(),
  /** Those too to whom roles grant it where the object lies. */
  approverPermission: label.nullish(),
  quorum: z
    .object({
      kind: z.enum(['single', 'at_least', 'majority', 'unanimous']),
      required: z.number().int().min(1).max(1_000).optional(),
    })
    .nullish(),
  /** Whether those named may pass it on, where no template says so. */
  delegationAllowed: z.boolean().nullish(),
  reference: json({ maxBytes: 65_536 }).nullish(),
});

export interface RequestsDeps {
  readonly commands: CommandRunner;
  readonly routing: Routing;
  readonly templates: Templates;
  readonly contexts: Contexts;
  readonly withdrawals: Withdrawals;
  readonly returns: Pick<Returns, 'check'>;
}

/**
 * Opens one confirm for each `approval.requested` of any module, whoever tells it again, and lets go of what waits about
 * something that is over. One consumer does both, so that neither overtakes the other.
 */
export function createRequests(
  runtime: ModuleRuntime,
  { commands, routing, templates, contexts, withdrawals, returns }: RequestsDeps,
) {
  const { logger } = runtime;
  const limits = readConfirmLimits(runtime.config);

  /** @throws {VALIDATION_FAILED} {NO_ELIGIBLE_APPROVER} */
  async function open(event: EventRow): Promise<void> {
    const parsed = request.safeParse(event.data['approval']);
    if (!parsed.success)
      throw new PlatformError('VALIDATION_FAILED', `approval: ${parsed.error.issues[0]?.message}`, {
        details: { issues: parsed.error.issues.map(({ path, message }) => ({ path: path.map(String), message })) },
      });
    const given = parsed.data;
    const { tenantId } = event;
    const requestedBy = given.requestedBy ?? event.actor;
    const confirmationType = given.confirmationType?.toLowerCase() ?? 'task_approval';
    const contextId = given.contextId ?? (given.targetType === 'context' ? given.targetId : null);
    const part = { weight: 1, required: false };
    const specs: ApproverSpec[] = [
      ...(given.approvers ?? []).map((subject) => ({ ...part, subject })),
      ...(given.approverRoles ?? []).map((role) => ({ ...part, role })),
      ...(given.approverPermission == null ? [] : [{ ...part, permission: given.approverPermission }]),
    ];
    const isRuled = decidesPlan({ targetType: given.targetType, confirmationType });
    const template =
      specs.length > 0 && !isRuled
        ? null
        : await templates.match(tenantId, {
            ...{ confirmationType, contextId },
            amount: amountOf(given.subject),
            department: given.department ?? null,
          });
    if (specs.length === 0 && template === null && !isRuled) throw noEligibleApprover('approval');
    const { maxDelegations } = limits;
    const planId = given.planId ?? (given.targetType === 'plan' ? given.targetId : null);
    const requester = {
      ...(given.department == null ? {} : { department: given.department }),
      ...(given.author == null ? {} : { author: given.author }),
    };
    const workflow = isRuled
      ? planWorkflow(
          template,
          {
            approvers: specs,
            quorum: given.quorum == null ? null : toQuorum(given.quorum, 'single'),
            timeout: null,
          },
          { maxDelegations, barred: barredOf({ requestedBy, requester }), path: ['approval'] },
        )
      : (template?.definition ??
        singleStep({
          approvers: specs,
          quorum: toQuorum(given.quorum, 'single'),
          maxDelegations,
          delegationAllowed: given.delegationAllowed ?? true,
        }));
    const { targetType, targetId } = given;
    const routes = await routing.route(
      routingScopeOf({ tenantId, contextId, planId, requestedBy, requester, targetType, targetId, confirmationType }),
      workflow,
    );
    const confirmId = derivedId(`confirm:${event.eventId}`);
    const principal = systemPrincipal(tenantId);
    await commands.run({
      scope: null,
      principal,
      confirmId,
      idempotent: null,
      gateKey: null,
      action: 'confirm.create',
      decide: (current, atMs) =>
        current !== null
          ? null
          : openConfirm(
              {
                tenantId,
                id: confirmId,
                contextId,
                planId,
                targetType: given.targetType satisfies TargetType,
                targetId: given.targetId,
                confirmationType,
                title: given.title ?? confirmationType.replaceAll('_', ' '),
                description: null,
                priority: 'normal',
                urgency: 'normal',
                requestedBy,
                requestedByRole: given.requestedByRole ?? 'service',
                reason: given.reason ?? null,
                requester,
                subject: given.subject ?? null,
                riskAssessment: null,
                impact: null,
                attachments: null,
                notifications: null,
                reference: given.reference ?? null,
                templateId: template?.id ?? null,
                templateVersion: template?.version ?? null,
                gateKey: null,
                requestEventId: event.eventId,
                createdBy: principal.subject,
                workflow,
              },
              routes,
              atMs,
            ),
    });
  }

  /** Tells who asked that nobody will answer. A page read again may tell it again: who hears of it asks only once. */
  async function refuse(event: EventRow, error: PlatformError): Promise<void> {
    const approval = event.data['approval'];
    const targetId = (approval as { readonly targetId?: unknown } | undefined)?.targetId;
    const told = await runtime.sql.begin((tx) =>
      appendChange(tx, 'confirm', [
        {
          tenantId: event.tenantId,
          actor: systemPrincipal(event.tenantId).subject,
          events: [
            {
              streamId: isId(targetId) ? targetId : event.streamId,
              type: 'approval.refused',
              data: { approval, requestEventId: event.eventId, code: error.code, message: error.message },
              tags: [],
            },
          ],
        },
      ]),
    );
    await runtime.publisher.published(told);
  }

  async function handle(events: readonly EventRow[]): Promise<void> {
    for (const event of events) {
      if (event.type !== 'approval.requested') {
        await withdrawals.heard(event);
        continue;
      }
      try {
        await open(event);
      } catch (error) {
        // What was asked for makes no sense, and asking again would not change that; a failure of ours is tried again.
        if (!(error instanceof PlatformError) || error.retryable) throw error;
        logger.error(
          { event: event.eventId, module: event.module, code: error.code, error: error.message },
          'an approval that was asked for cannot be given a confirm',
        );
        await refuse(event, error);
      }
    }
  }

  return {
    open,
    /** Follows every module that asks for approvals or ends what waits for them. */
    async follow(): Promise<readonly Consumer[]> {
      return Promise.all(
        subgraphNames
          // Events of the platform module are what clients publish: nobody asks for approvals by them.
          .filter((module) => module !== 'confirm' && module !== 'platform')
          .map((module) => {
            return createConsumer({
              name: 'confirm.requests',
              module,
              sql: (runtime.consumerSqlOf ?? runtime.sqlOf)(module),
              bus: runtime.bus,
              logger,
              // Contexts are known from what the context module says; of the others requests and endings matter.
              ...(module === 'context' ? {} : { types: typesOf(module) }),
              // A confirm is opened in a transaction of its own, once per event: reading the page again does no harm.
              async handle(events) {
                if (module === 'context') await contexts.apply(events);
                await handle(events);
                if (rightsTypes[module] !== undefined)
                  for (const tenantId of new Set(events.map((event) => event.tenantId))) await returns.check(tenantId);
              },
            });
          }),
      );
    },
  };
}
