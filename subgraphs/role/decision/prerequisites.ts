import { clearances } from '../conditions/index.ts';
import { listBits } from '../hierarchy/bits.ts';
import { findNode } from '../hierarchy/index.ts';
import { compareText } from '../hierarchy/order.ts';
import type { Subject } from './assignment.ts';
import { seniorities } from './seniority.ts';
import type { Snapshot } from './snapshot.ts';

export interface MissingPrerequisites {
  /** By name. */
  readonly certifications: readonly string[];
  /** Undefined where the clearance is enough, or none is recorded and the role confers its own. */
  readonly clearance: Gap | undefined;
  /** Undefined where the seniority is enough, or none is recorded. */
  readonly seniority: Gap | undefined;
}

interface Gap {
  readonly required: string;
  readonly held: string;
}

/**
 * What a subject lacks for a role: certifications that the role or one above it requires, and the highest clearance and
 * seniority among them. Certifications are those of `attributes.certifications` and of the capabilities recorded.
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
  const clearance = findGap(
    clearances,
    asked.map(({ securityClearance }) => securityClearance),
    subject?.attributes?.['securityClearance'],
  );
  const seniority = findGap(
    seniorities,
    asked.map((role) => role.seniority),
    subject?.attributes?.['seniority'],
  );
  return certifications.length === 0 && clearance === undefined && seniority === undefined
    ? undefined
    : { certifications, clearance, seniority };
}

export function describeMissing({ certifications, clearance, seniority }: MissingPrerequisites): string {
  const parts = [
    ...(certifications.length === 0 ? [] : [`the certifications ${certifications.join(', ')}`]),
    ...(clearance === undefined ? [] : [`the clearance ${clearance.required}, got ${clearance.held}`]),
    ...(seniority === undefined ? [] : [`the seniority ${seniority.required}, got ${seniority.held}`]),
  ];
  return `expected ${parts.join(' and ')}`;
}

function listCertifications(subject: Subject | undefined): Set<unknown> {
  const listed = subject?.attributes?.['certifications'];
  const ofCapabilities = (subject?.capabilities ?? []).flatMap(({ certifications = [] }) => certifications);
  return new Set<unknown>([...(Array.isArray(listed) ? (listed as unknown[]) : []), ...ofCapabilities]);
}

function findGap(order: readonly string[], required: readonly (string | undefined)[], held: unknown): Gap | undefined {
  if (typeof held !== 'string') return undefined;
  const highest = Math.max(-1, ...required.map((name) => (name === undefined ? -1 : order.indexOf(name))));
  return highest > order.indexOf(held) ? { required: order[highest]!, held } : undefined;
}
