import type { Facts } from '#shared/conditions/facts.ts';
import type { ConfirmRow } from './rows.ts';

type Described = Pick<
  ConfirmRow,
  | 'requestedBy'
  | 'requestedByRole'
  | 'requester'
  | 'subject'
  | 'riskAssessment'
  | 'impact'
  | 'targetType'
  | 'targetId'
  | 'contextId'
  | 'planId'
  | 'priority'
  | 'urgency'
  | 'confirmationType'
>;

/**
 * What conditions of a workflow may look at: `subject.department` and `subject.role` of who asks, `resource.amount` and
 * whatever else the request says of its subject, `environment.priority`, `environment.risk` (a level), `environment.riskScore`,
 * `environment.compliance` (a list), `environment.impact.scope` and the like.
 */
export function factsOf(confirm: Described, atMs: number): Facts {
  return {
    subjectId: confirm.requestedBy ?? '',
    subject: { ...confirm.requester, role: confirm.requestedByRole },
    roleClearance: undefined,
    heldRoles: [confirm.requestedByRole],
    action: 'approve',
    resourceType: confirm.targetType,
    resourceId: confirm.targetId,
    resource: confirm.subject ?? {},
    contextId: confirm.contextId ?? undefined,
    planId: confirm.planId ?? undefined,
    environment: {
      priority: confirm.priority,
      urgency: confirm.urgency,
      confirmationType: confirm.confirmationType,
      risk: confirm.riskAssessment?.overall,
      riskScore: confirm.riskAssessment?.score,
      compliance: confirm.riskAssessment?.complianceRequirements,
      impact: confirm.impact,
    },
    timeMs: atMs,
    ip: undefined,
  };
}
