import { type Consumer, createConsumer } from '#shared/consumer.ts';
import type { EventRow } from '#shared/events.ts';
import type { ModuleRuntime } from '#shared/subgraph.ts';
import type { CommandRunner } from './commands.ts';
import { systemPrincipal } from './directory.ts';
import { approversOf, createDraft, putApprover, tell } from './draft.ts';
import { nextDeadline } from './engine.ts';
import { globalTimeoutMs } from './inputs.ts';
import { newStep } from './opening.ts';
import { type Routing, routingScopeOf } from './routing.ts';
import type { ConfirmRow } from './rows.ts';
import type { WorkflowDefinition } from './workflow/index.ts';
import { singleStep } from './workflowInput.ts';

/** The one step of a confirm that came without a workflow. */
export const importedStep = 'approval';

/** A document says in which role a confirm was asked for, and nothing of who decides it. */
export function importedWorkflow(requestedByRole: string): WorkflowDefinition {
  const workflow = singleStep({
    approvers: [{ role: requestedByRole, weight: 1, required: false }],
    quorum: { kind: 'single' },
  });
  return { ...workflow, steps: workflow.steps.map((step) => ({ ...step, openToAll: true })) };
}

/** A confirm that came in pending, as one that waits for its decision from now on. */
export function openImported(confirm: ConfirmRow): ConfirmRow {
  const workflow = importedWorkflow(confirm.requestedByRole);
  const expiresAt = new Date(Date.parse(confirm.createdAt) + globalTimeoutMs).toISOString();
  const opened: ConfirmRow = {
    ...confirm,
    workflow,
    phase: 'under_review',
    expiresAt,
    steps: workflow.steps.map(({ id }) => ({
      ...newStep(id),
      status: 'active',
      startedAt: confirm.createdAt,
      dueAt: expiresAt,
    })),
  };
  return { ...opened, nextDeadlineAt: nextDeadline({ confirm: opened }) };
}

/** Brings what came in pending to the inboxes of those who hold its role. */
export function createImports(
  runtime: ModuleRuntime,
  { commands, routing }: { readonly commands: CommandRunner; readonly routing: Routing },
) {
  async function heard({ type, tenantId, data }: EventRow): Promise<void> {
    const confirm = data['confirm'] as ConfirmRow;
    if (type !== 'confirm.created' || data['imported'] !== true || confirm.status !== 'pending') return;
    if (confirm.workflow === null) return;
    // Who brought it in takes the place of who asked.
    const scope = routingScopeOf({ ...confirm, requestedBy: confirm.createdBy });
    const eligible = (await routing.route(scope, confirm.workflow)).get(importedStep) ?? [];
    if (eligible.length === 0) return;
    await commands.run({
      scope: null,
      principal: systemPrincipal(tenantId),
      confirmId: confirm.id,
      idempotent: null,
      gateKey: null,
      action: 'confirm.route',
      decide(current, atMs) {
        if (current?.confirm.status !== 'pending' || current.approvers.length > 0) return null;
        const draft = createDraft(current.confirm, current.approvers, { atMs });
        for (const [position, { subject, role, weight, required }] of eligible.entries())
          putApprover(draft, {
            tenantId,
            confirmId: confirm.id,
            stepId: importedStep,
            subject,
            role,
            weight,
            required,
            position,
            state: 'waiting',
            vote: null,
            ballot: null,
            delegatedFrom: null,
            depth: 0,
            level: 0,
            dueAt: current.confirm.expiresAt!,
            waitingSince: draft.at,
            decidedAt: null,
            conditionId: null,
          });
        tell(draft, 'confirm.step.started', {
          stepId: importedStep,
          subjects: approversOf(draft, importedStep).map(({ subject }) => subject),
        });
        return draft;
      },
    });
  }

  return {
    follow(): Promise<Consumer> {
      return createConsumer({
        name: 'confirm.imports',
        module: 'confirm',
        types: ['confirm.created'],
        sql: (runtime.consumerSqlOf ?? runtime.sqlOf)('confirm'),
        bus: runtime.bus,
        logger: runtime.logger,
        async handle(events) {
          for (const event of events) await heard(event);
        },
      });
    },
  };
}
