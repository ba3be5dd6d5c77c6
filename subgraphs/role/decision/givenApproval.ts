import type { CompiledGrant } from './compiledRole.ts';
import type { Evaluation } from './evaluation.ts';

/** What an approval lets a subject do that a permission, or a conflict of rules, leaves to a person; times are epoch ms. */
export interface GivenApproval {
  readonly requestId: string;
  readonly subjectId: string;
  /** That asks for the approval, of the role that has it. */
  readonly permissionId: string;
  readonly roleId: string;
  readonly action: string;
  readonly resourceType: string;
  /** Absent: any of the type. */
  readonly resourceId?: string;
  /** Absent: everywhere. */
  readonly contextId?: string;
  readonly planId?: string;
  /** Exclusive. */
  readonly untilMs: number;
}

/** The approval in force that the subject asking has for this very rule and request. */
export function findGivenApproval(evaluation: Evaluation, grant: CompiledGrant): GivenApproval | undefined {
  const { facts, approvals } = evaluation;
  for (const approval of approvals) {
    if (approval.roleId !== grant.roleId || approval.permissionId !== grant.permission.permissionId) continue;
    if (approval.action !== facts.action || approval.resourceType !== facts.resourceType) continue;
    if (approval.contextId !== undefined && approval.contextId !== facts.contextId) continue;
    if (approval.planId !== undefined && approval.planId !== facts.planId) continue;
    if (facts.timeMs >= approval.untilMs) continue;
    if (approval.resourceId !== undefined) {
      evaluation.readsResourceId = true;
      if (approval.resourceId !== facts.resourceId) continue;
    }
    evaluation.untilMs = Math.min(evaluation.untilMs, approval.untilMs);
    return approval;
  }
  return undefined;
}
