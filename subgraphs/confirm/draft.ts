import { newId } from '#shared/ids.ts';
import { seal } from './chain/chain.ts';
import type {
  ConfirmApproverRow,
  ConfirmDecisionRow,
  ConfirmRow,
  DecisionContent,
  Json,
  PhaseValue,
  StepState,
} from './rows.ts';
import { type CompiledWorkflow, compileWorkflow, type StepDefinition } from './workflow/index.ts';

/** A confirm with all who ever had a part in it, as it stands under its lock. */
export interface Aggregate {
  readonly confirm: ConfirmRow;
  readonly approvers: readonly ConfirmApproverRow[];
}

/** Something that happened, to be told once the whole stands. */
export interface Told {
  readonly type: string;
  readonly more: Json;
}

/** A confirm while a command changes it. */
export interface Draft {
  confirm: ConfirmRow;
  readonly before: Aggregate | null;
  readonly approvers: Map<string, ConfirmApproverRow>;
  /** Keys of approvers that are new or changed. */
  readonly touched: Set<string>;
  readonly decisions: ConfirmDecisionRow[];
  readonly told: Told[];
  readonly workflow: CompiledWorkflow | null;
  /** Whether more is to be stored than what deciding changes. */
  isRewritten: boolean;
  readonly at: string;
}

/** Workflows by definition: a version of a template is compiled once, as long as rows share its text. */
const compiled = new Map<string, CompiledWorkflow>();
const maxCompiled = 500;

export function compiledOf(confirm: ConfirmRow): CompiledWorkflow | null {
  if (confirm.workflow === null) return null;
  if (confirm.templateId === null || confirm.workflow.isExtended === true) return compileWorkflow(confirm.workflow);
  const key = `${confirm.tenantId}/${confirm.templateId}/${confirm.templateVersion}`;
  const known = compiled.get(key);
  if (known) return known;
  const workflow = compileWorkflow(confirm.workflow);
  if (compiled.size >= maxCompiled) compiled.delete(compiled.keys().next().value!);
  compiled.set(key, workflow);
  return workflow;
}

const approverKey = (stepId: string, subject: string) => JSON.stringify([stepId, subject]);

export function createDraft(
  confirm: ConfirmRow,
  approvers: readonly ConfirmApproverRow[],
  { atMs, isNew = false }: { readonly atMs: number; readonly isNew?: boolean },
): Draft {
  return {
    confirm,
    before: isNew ? null : { confirm, approvers },
    approvers: new Map(approvers.map((row) => [approverKey(row.stepId, row.subject), row])),
    touched: new Set(isNew ? approvers.map((row) => approverKey(row.stepId, row.subject)) : []),
    decisions: [],
    told: [],
    workflow: compiledOf(confirm),
    isRewritten: false,
    at: new Date(atMs).toISOString(),
  };
}

/** A confirm as it stands, to be read and not to be changed. */
export function viewOf(confirm: ConfirmRow, approvers: readonly ConfirmApproverRow[] = []): Draft {
  return createDraft(confirm, approvers, { atMs: Date.parse(confirm.updatedAt) });
}

export function putApprover(draft: Draft, row: ConfirmApproverRow): void {
  const key = approverKey(row.stepId, row.subject);
  draft.approvers.set(key, row);
  draft.touched.add(key);
}

export function approverOf(draft: Draft, stepId: string, subject: string): ConfirmApproverRow | undefined {
  return draft.approvers.get(approverKey(stepId, subject));
}

/** All who have or had a part in a step, in their order. */
export function approversOf(draft: Draft, stepId: string): readonly ConfirmApproverRow[] {
  return [...draft.approvers.values()]
    .filter((row) => row.stepId === stepId)
    .sort((a, b) => a.level - b.level || a.position - b.position || (a.subject < b.subject ? -1 : 1));
}

/** Those of a step that have not decided. */
export function silent(draft: Draft, stepId: string): readonly ConfirmApproverRow[] {
  return approversOf(draft, stepId).filter(({ state }) => state === 'waiting' || state === 'queued');
}

export function stepOf(draft: Draft, stepId: string): StepState | undefined {
  return draft.confirm.steps.find(({ id }) => id === stepId);
}

export function definitionOf(draft: Draft, stepId: string): StepDefinition {
  const step = draft.workflow?.byId.get(stepId);
  if (!step) throw new Error(`the workflow of ${draft.confirm.id} has no step ${stepId}`);
  return step.definition;
}

export function putStep(draft: Draft, stepId: string, change: Partial<StepState>): void {
  const steps = draft.confirm.steps.map((step) => (step.id === stepId ? { ...step, ...change } : step));
  draft.confirm = { ...draft.confirm, steps };
}

export function setPhase(draft: Draft, phase: PhaseValue): void {
  draft.confirm = { ...draft.confirm, phase };
}

type Given = Pick<DecisionContent, 'approver' | 'role' | 'outcome'> & Partial<DecisionContent>;

/** Appends a decision to the chain. */
export function addDecision(draft: Draft, given: Given): ConfirmDecisionRow {
  const { confirm } = draft;
  const decision = seal<DecisionContent>({
    stepId: null,
    vote: null,
    ballot: null,
    rationale: null,
    conditions: [],
    delegateTo: null,
    risk: null,
    signature: null,
    protocol: null,
    decidedAt: draft.at,
    ...given,
    tenantId: confirm.tenantId,
    confirmId: confirm.id,
    id: given.id ?? newId(),
    sequence: confirm.decisionCount + 1,
    previousHash: confirm.chainHead,
  });
  draft.decisions.push(decision);
  draft.confirm = { ...confirm, decisionCount: decision.sequence, chainHead: decision.hash };
  return decision;
}

export function tell(draft: Draft, type: string, more: Json = {}): void {
  draft.told.push({ type, more });
}
