import { clearances } from '../conditions/index.ts';
import { listBits } from '../hierarchy/bits.ts';
import { findNode } from '../hierarchy/index.ts';
import { compareText } from '../hierarchy/order.ts';
import type { Subject } from './assignment.ts';
import type { Snapshot } from './snapshot.ts';

export interface MissingPrerequisites {
  /** By name. */
  readonly certifications: readonly string[];
  /** Undefined where the clearance is enough, or none is recorded and the role confers its own. */
  readonly clearance: { readonly required: string; readonly held: string } | undefined;
}

/**
 * What a subject lacks for a role: certifications that the role or one above it requires, and the highest clearance among
 * them. Certifications are those of `attributes.certifications` and of the capabilities recorded.
 */
export function findMissingPrerequisites(
  { graph, roles, subjects }: Snapshot,
  roleId: string,
  subjectId: string,
): MissingPrerequisites | undefined {
  const node = findNode(graph, roleId);
  const asked = (node === undefined ? [] : listBits(node.up)).flatMap((index) => roles[index]?.role ?? []);
  const subject = subjects.get(subjectId)?.subject;
  const held = listCertifications(subject);
  const required = new Set(asked.flatMap(({ certificationRequirements = [] }) => certificationRequirements));
  const certifications = [...required].filter((name) => !held.has(name)).sort(compareText);
  const clearance = findClearanceGap(
    asked.map(({ securityClearance }) => securityClearance),
    subject?.attributes?.['securityClearance'],
  );
  return certifications.length === 0 && clearance === undefined ? undefined : { certifications, clearance };
}

export function describeMissing({ certifications, clearance }: MissingPrerequisites): string {
  const parts = [
    ...(certifications.length === 0 ? [] : [`the certifications ${certifications.join(', ')}`]),
    ...(clearance === undefined ? [] : [`the clearance ${clearance.required}, got ${clearance.held}`]),
  ];
  return `expected ${parts.join(' and ')}`;
}

function listCertifications(subject: Subject | undefined): Set<unknown> {
  const listed = subject?.attributes?.['certifications'];
  const ofCapabilities = (subject?.capabilities ?? []).flatMap(({ certifications = [] }) => certifications);
  return new Set<unknown>([...(Array.isArray(listed) ? (listed as unknown[]) : []), ...ofCapabilities]);
}

function findClearanceGap(required: readonly (string | undefined)[], held: unknown): MissingPrerequisites['clearance'] {
  if (typeof held !== 'string') return undefined;
  const rank = (name: string | undefined) => (clearances as readonly (string | undefined)[]).indexOf(name);
  const highest = Math.max(-1, ...required.filter((name) => name !== undefined).map(rank));
  return highest > rank(held) ? { required: clearances[highest]!, held } : undefined;
}
