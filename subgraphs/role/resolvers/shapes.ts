import { listExpectations } from '../conditionInputs.ts';
import type { Conditions, Constraints, Operator } from '../conditions/index.ts';
import type { Permission } from '../decision/index.ts';
import type {
  AttributeOperator,
  PermissionRelation,
  RoleApproval,
  RoleApprovalStatus,
  RoleAttributes,
  RoleConditions,
  RoleConstraints,
  RolePermission,
  SecurityClearance,
  Seniority,
  SubjectAttributes,
} from '../resolvers.generated.ts';
import type { ApprovalValue } from '../rows.ts';

const upper = <Value extends string>(value: Value) => value.toUpperCase() as Uppercase<Value>;
const at = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());
const list = <Item>(items: readonly Item[] | undefined): Item[] | null => (items === undefined ? null : [...items]);
const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);

/** `startsWith` is STARTS_WITH. */
const operatorName = (operator: Operator) => operator.replace('W', '_W').toUpperCase() as AttributeOperator;

export function shapeConditions(conditions: Conditions): RoleConditions {
  const { timeBased, locationBased, contextBased, attributes = [], minClearance, expression = null } = conditions;
  const { geo } = locationBased ?? {};
  return {
    timeBased: timeBased
      ? {
          start: timeBased.start ?? null,
          end: timeBased.end ?? null,
          timezone: timeBased.timezone ?? 'UTC',
          daysOfWeek: list(timeBased.daysOfWeek),
        }
      : null,
    locationBased: locationBased
      ? {
          allowedIpRanges: list(locationBased.allowedIpRanges),
          geo: geo ? { countries: list(geo.countries), within: geo.within ?? null } : null,
        }
      : null,
    contextBased: contextBased
      ? {
          requiredAttributes: [...listExpectations(contextBased.requiredAttributes)],
          forbiddenAttributes: [...listExpectations(contextBased.forbiddenAttributes)],
        }
      : null,
    attributes: attributes.map(({ attribute, operator, value = null }) => ({
      attribute,
      operator: operatorName(operator),
      value,
    })),
    minClearance: minClearance === undefined ? null : upper(minClearance),
    expression,
  };
}

export function shapeConstraints(constraints: Constraints): RoleConstraints {
  const { limits = {}, conditions, ...lists } = constraints;
  return {
    resourceTypes: list(lists.resourceTypes),
    resourceIds: list(lists.resourceIds),
    actions: list(lists.actions),
    contextIds: list(lists.contextIds),
    planIds: list(lists.planIds),
    limits: Object.entries(limits).map(([attribute, max]) => ({ attribute, max })),
    conditions: conditions ? shapeConditions(conditions) : null,
  };
}

export function shapePermission(permission: Permission): RolePermission {
  const { actions, effect, scope, conditions, approvalRequired, validFromMs, expiresAtMs, ...named } = permission;
  return {
    ...named,
    actions: [...actions],
    effect: upper(effect),
    scope: scope
      ? {
          contextIds: list(scope.contextIds),
          planIds: list(scope.planIds),
          relation: scope.relation === undefined ? null : (upper(scope.relation) as PermissionRelation),
        }
      : null,
    conditions: conditions ? shapeConditions(conditions) : null,
    approvalRequired: approvalRequired
      ? {
          forActions: list(approvalRequired.forActions),
          threshold: approvalRequired.threshold ?? 1,
          approverRoles: [...(approvalRequired.approverRoles ?? [])],
        }
      : null,
    validFrom: at(validFromMs),
    expiresAt: at(expiresAtMs),
    grantType: expiresAtMs === undefined ? 'DIRECT' : 'TEMPORARY',
  };
}

type StoredAttributes = Readonly<Record<string, unknown>>;

const shapeNamed = ({ securityClearance, department, seniority }: StoredAttributes) => ({
  securityClearance: text(securityClearance)?.toUpperCase() as SecurityClearance | undefined,
  department: text(department),
  seniority: text(seniority)?.toUpperCase() as Seniority | undefined,
});

export function shapeRoleAttributes(attributes: StoredAttributes): RoleAttributes {
  const { securityClearance: _clearance, department: _department, seniority: _seniority, ...others } = attributes;
  const { certificationRequirements, ...custom } = others;
  return { ...shapeNamed(attributes), certificationRequirements: texts(certificationRequirements), custom };
}

export function shapeSubjectAttributes(attributes: StoredAttributes): SubjectAttributes {
  const { securityClearance: _clearance, department: _department, seniority: _seniority, ...others } = attributes;
  const { certifications, ...custom } = others;
  return { ...shapeNamed(attributes), certifications: texts(certifications), custom };
}

export function shapeApproval({ required, status, confirmId }: ApprovalValue): RoleApproval {
  return {
    required,
    status: upper(status) as RoleApprovalStatus,
    confirmId: confirmId ?? null,
    confirm: confirmId === undefined ? null : ({ id: confirmId } as never),
  };
}
