import type { Clearance } from './clearance.ts';
import type { GeoCondition } from './geo.ts';
import type { Operator } from './operators.ts';
import type { TimeWindow } from './timeWindow.ts';

export type Scalar = string | number | boolean;

/** Attribute to the value it must have, to a list it must be in, or to null where it must be there; or names that must be there. */
export type AttributeExpectations = readonly string[] | Readonly<Record<string, Scalar | readonly Scalar[] | null>>;

export interface AttributeComparison {
  /** Such as `subject.department`; without a first part of subject, resource or environment it is of the environment. */
  readonly attribute: string;
  readonly operator: Operator;
  readonly value?: Scalar | readonly Scalar[];
}

/** What must hold for a permission or an inheritance edge to count. All parts must. */
export interface Conditions {
  readonly timeBased?: TimeWindow;
  readonly locationBased?: { readonly allowedIpRanges?: readonly string[]; readonly geo?: GeoCondition };
  readonly contextBased?: {
    readonly requiredAttributes?: AttributeExpectations;
    readonly forbiddenAttributes?: AttributeExpectations;
  };
  readonly attributes?: readonly AttributeComparison[];
  /** Least clearance of the subject. */
  readonly minClearance?: Clearance;
  readonly expression?: string;
}

/** What narrows the allow permissions that come through a role or an assignment. All that are met on the way must hold. */
export interface Constraints {
  readonly resourceTypes?: readonly string[];
  readonly resourceIds?: readonly string[];
  readonly actions?: readonly string[];
  readonly contextIds?: readonly string[];
  readonly planIds?: readonly string[];
  /** Greatest value of a numeric attribute of the resource; a resource without the attribute is not limited. */
  readonly limits?: Readonly<Record<string, number>>;
  readonly conditions?: Conditions;
}
